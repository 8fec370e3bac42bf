//! What changed of a list since a version, as a watch tells it: for servers whose bundle folder changes while they run.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::kube::Failure;
use super::wire::{Ask, Reply};

/// States of one list that are remembered; of older ones nobody knows what changed since.
const REMEMBERED: usize = 8;

type Objects = BTreeMap<String, Value>;

#[derive(Default)]
struct State {
    version: u64,
    /// Of each list its states, the newest last.
    lists: HashMap<String, Vec<(u64, Objects)>>,
}

/// The states that lists had.
#[derive(Default)]
pub struct Changes(Mutex<State>);

impl Changes {
    /// Forgets all of them, as a server does that starts again.
    pub fn forget(&self) {
        self.0.lock().expect("no holder of the lock panics").lists.clear();
    }

    /// The answer to a request for a list, `reply`, with its version; or what changed of it, where that was asked for.
    pub fn answer(&self, ask: &Ask, reply: Reply) -> Reply {
        let Some(mut list) = whole_list(&reply) else { return reply };
        let key = format!("{}?{}", ask.path, ask.param("labelSelector").unwrap_or_default());
        let mut state = self.0.lock().expect("no holder of the lock panics");
        let now = objects(&list);
        let (version, states) = state.note(key, now.clone());
        if ask.param("watch").is_none() {
            list["metadata"]["resourceVersion"] = version.to_string().into();
            return Reply::json(200, &list);
        }
        let since = ask.param("resourceVersion").and_then(|v| v.parse::<u64>().ok());
        let events = match states.iter().find(|(of, _)| Some(*of) == since) {
            Some((_, before)) => events(before, &now, version),
            None => {
                let gone: Value = serde_json::from_slice(&Failure::new(410, "too old resource version").reply().body)
                    .expect("it was just written");
                format!("{}\n", json!({"type": "ERROR", "object": gone}))
            }
        };
        Reply::new(200, "application/json", events)
    }
}

impl State {
    /// The version of this state of a list, and all states that are remembered.
    fn note(&mut self, key: String, now: Objects) -> (u64, &[(u64, Objects)]) {
        let states = self.lists.entry(key).or_default();
        if states.last().is_none_or(|(_, last)| *last != now) {
            // Versions of real servers are large and have gaps.
            self.version += 1007;
            states.push((self.version, now));
        }
        if states.len() > REMEMBERED {
            states.remove(0);
        }
        (states.last().map_or(0, |(version, _)| *version), states)
    }
}

fn whole_list(reply: &Reply) -> Option<Value> {
    let list: Value = (reply.status == 200).then(|| serde_json::from_slice(&reply.body).ok()).flatten()?;
    let is_whole = list["items"].is_array() && list["metadata"]["continue"].is_null();
    // As real servers have it, metrics are made up at each request.
    (is_whole && list["kind"] != "PodMetricsList").then_some(list)
}

fn objects(list: &Value) -> Objects {
    let name = |o: &Value| {
        let text = |key: &str| o["metadata"][key].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("namespace"), text("name"))
    };
    list["items"].as_array().into_iter().flatten().map(|o| (name(o), o.clone())).collect()
}

fn events(before: &Objects, now: &Objects, version: u64) -> String {
    let event = |kind: &str, object: &Value| {
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = version.to_string().into();
        format!("{}\n", json!({"type": kind, "object": object}))
    };
    let gone = before.iter().filter(|(name, _)| !now.contains_key(*name)).map(|(_, o)| event("DELETED", o));
    let changed = now.iter().filter_map(|(name, object)| match before.get(name) {
        None => Some(event("ADDED", object)),
        Some(old) if old != object => Some(event("MODIFIED", object)),
        Some(_) => None,
    });
    let bookmark = event("BOOKMARK", &json!({"metadata": {}}));
    gone.chain(changed).chain([bookmark]).collect()
}
