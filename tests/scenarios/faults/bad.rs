//! Bad profiles: whatever a body holds, no reader panics, no answer is a 5xx, no page stops.

mod deliveries;
mod listings;
mod readers;
mod rejections;
mod time;
