//! `/api/v2/event-streams`: where events are to go. A sender that follows sends to the newest.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::errors;
use crate::simulator::iso;
use crate::simulator::vendor::{Fields, Refused};
use crate::simulator::world::World;

/// The streams that were made, with their tokens.
#[derive(Debug, Clone, Default)]
pub(super) struct Streams(Arc<Mutex<Vec<Value>>>);

/// What a request may set.
const KNOWN: [&str; 4] = ["destination", "name", "status", "subscriptions"];

impl Streams {
    pub(super) fn make(&self, world: &World, wanted: &Fields) -> Result<Value, Refused> {
        let now = iso::text(world.clock().now());
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stream = json!({
            "id": format!("est_{:022}", streams.len() + 1),
            "status": "enabled",
            "created_at": now,
            "updated_at": now,
        });
        set(&mut stream, wanted)?;
        if stream["destination"].is_null() {
            return Err(errors::body("Missing required property: destination"));
        }
        send(world, &stream);
        streams.push(stream.clone());
        Ok(shown(&stream))
    }

    pub(super) fn update(
        &self,
        world: &World,
        id: &str,
        wanted: &Fields,
    ) -> Result<Value, Refused> {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = streams.iter_mut().find(|stream| stream["id"] == id);
        let stream = stream.ok_or_else(errors::no_such_stream)?;
        set(stream, wanted)?;
        stream["updated_at"] = iso::text(world.clock().now()).into();
        send(world, stream);
        Ok(shown(stream))
    }

    pub(super) fn all(&self) -> Value {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let streams: Vec<Value> = streams.iter().map(shown).collect();
        json!({ "eventStreams": streams })
    }
}

fn set(stream: &mut Value, wanted: &Fields) -> Result<(), Refused> {
    for (name, value) in wanted {
        if !KNOWN.contains(&name.as_str()) {
            let problem = format!("Additional properties not allowed: {name}");
            return Err(errors::body(&problem));
        }
        stream[name] = serde_json::from_str(value.get()).unwrap_or_default();
    }
    let configuration = &stream["destination"]["configuration"];
    let webhook = stream["destination"]["type"] == "webhook";
    if webhook && !configuration["webhook_endpoint"].is_string() {
        return Err(errors::body("Missing required property: webhook_endpoint"));
    }
    Ok(())
}

/// Tells the sender of a stream that is on; it is the only one that counts.
fn send(world: &World, stream: &Value) {
    let configuration = &stream["destination"]["configuration"];
    let token = configuration["webhook_authorization"]["token"].as_str();
    match configuration["webhook_endpoint"].as_str() {
        Some(url) if stream["status"] == "enabled" => {
            world.send_to(url, Some(token.unwrap_or_default().to_owned()));
        }
        _ => world.send_nowhere(),
    }
}

/// A stream as answers show it: without the token.
fn shown(stream: &Value) -> Value {
    let mut shown = stream.clone();
    let authorization = shown.pointer_mut("/destination/configuration/webhook_authorization");
    if let Some(authorization) = authorization.and_then(Value::as_object_mut) {
        authorization.remove("token");
    }
    shown
}
