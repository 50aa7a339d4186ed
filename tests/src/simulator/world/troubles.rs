//! Troubles, and hooks that act at a request.

use super::World;
use crate::simulator::faults::{Fault, Switches, Trouble};
use crate::simulator::requests::Call;

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the request is looked at.
    Before,
    /// After the answer was made, before it is sent.
    After,
}

type Deed = Box<dyn FnOnce(&World) + Send>;

pub(super) struct Hook {
    moment: Moment,
    on: Call,
    skip: u32,
    deed: Deed,
}

impl World {
    /// Adds a trouble after those that are there.
    pub fn add_trouble(&self, trouble: Trouble) {
        self.state().plan.add(trouble);
    }

    /// Ends all troubles and sets all switches back.
    pub fn clear_troubles(&self) {
        let mut state = self.state();
        state.plan.clear();
        state.switches = Switches::default();
    }

    /// From now on takes this key, and no other, where the vendor's own one is asked for in a
    /// header.
    pub fn rotate_key(&self, own: &str, new: &str) {
        self.state().rotated_key = Some((own.to_owned(), new.to_owned()));
    }

    /// The value that the vendor has to see in place of this header's.
    pub(in crate::simulator) fn as_own_key(&self, value: &str) -> Option<String> {
        let state = self.state();
        let (own, new) = state.rotated_key.as_ref()?;
        if value.contains(new.as_str()) {
            return Some(value.replace(new.as_str(), own));
        }
        let revoked = value.contains(own.as_str());
        revoked.then(|| value.replace(own.as_str(), "revoked"))
    }

    /// Sets switches.
    pub fn switch(&self, set: impl FnOnce(&mut Switches)) {
        set(&mut self.state().switches);
    }

    /// The switches as they stand.
    pub fn switches(&self) -> Switches {
        self.state().switches.clone()
    }

    /// Has something done once, at a request for this call, after `skip` others of them.
    pub fn once(
        &self,
        moment: Moment,
        on: Call,
        skip: u32,
        deed: impl FnOnce(&World) + Send + 'static,
    ) {
        self.state().hooks.push(Hook {
            moment,
            on,
            skip,
            deed: Box::new(deed),
        });
    }

    /// Does what is due at this moment of this request.
    pub(in crate::simulator) fn run_hooks(&self, moment: Moment, call: Call) {
        let mut state = self.state();
        let mut due = Vec::new();
        let hooks = std::mem::take(&mut state.hooks);
        for mut hook in hooks {
            if hook.moment != moment || hook.on != call {
                state.hooks.push(hook);
            } else if hook.skip > 0 {
                hook.skip -= 1;
                state.hooks.push(hook);
            } else {
                due.push(hook.deed);
            }
        }
        // A deed may use the world.
        drop(state);
        for deed in due {
            deed(self);
        }
    }

    pub(in crate::simulator) fn meet(&self, call: Call, path: &str) -> Option<Fault> {
        let mut state = self.state();
        let state = &mut *state;
        state.plan.meet(call, path, &mut state.random)
    }
}
