//! A scraped port that leads nowhere although the Service has ready endpoints.

use serde_json::{Value, json};

use crate::domain::kubernetes::{json_patch, service_port};
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::Down;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};

/// What is wrong with a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortCause {
    /// The Service does not offer the scraped port.
    NotOffered { port: u16, offered: Vec<u16>, declared: bool },
    /// The Service leads to a port that no container has, by name or by number.
    NoSuchTarget { port: u16, target: Value, index: usize, declared: Vec<u16> },
}

impl PortCause {
    /// The fault of one target's port. Only failures that a wrong port can explain are looked at.
    pub(crate) fn of(snap: &Snapshot, service: &Service, down: &Down<'_>) -> Option<Self> {
        if !matches!(down.failure, ScrapeFailure::Timeout | ScrapeFailure::Refused | ScrapeFailure::NoRoute) {
            return None;
        }
        let address = down.address.as_ref()?;
        // A headless name and a pod's address lead to the pod directly, past the Service's ports.
        let by_service = snap.service_by_host(&address.host).is_some_and(|s| {
            (&s.metadata.namespace, &s.metadata.name) == (&service.metadata.namespace, &service.metadata.name)
        });
        if !by_service || service_port::is_headless(service) {
            return None;
        }
        let pods: Vec<&Pod> = snap.pods_of_service(service).filter(|p| p.is_ready()).collect();
        let declared = declared(&pods);
        let port = address.port;
        let Some((index, of_service)) = service_port::find(service, port) else {
            let offered = service_port::tcp(service).map(|(_, p)| p.port).collect();
            return Some(Self::NotOffered { port, offered, declared: declared.contains(&port) });
        };
        let target = match &of_service.target_port {
            Value::Number(number) if number.as_u64() == Some(0) => json!(port),
            Value::Null => json!(port),
            target => target.clone(),
        };
        let is_missing = match &target {
            Value::String(name) => !pods.is_empty() && !pods.iter().any(|p| service_port::named(p, name).is_some()),
            // A declared port is a hint only: a container may listen on others. With a refused connection it counts.
            target => {
                let number = target.as_u64().and_then(|t| u16::try_from(t).ok())?;
                down.failure == ScrapeFailure::Refused && !declared.is_empty() && !declared.contains(&number)
            }
        };
        is_missing.then_some(Self::NoSuchTarget { port, target, index, declared })
    }

    /// The fault as the end of a sentence.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::NotOffered { port, offered, .. } => {
                format!("port {port} is scraped and the Service offers {}", list(offered))
            }
            Self::NoSuchTarget { port, target, declared, .. } => {
                let target = target.as_str().map_or_else(|| target.to_string(), str::to_owned);
                format!("port {port} leads to targetPort {target}, and the containers declare {}", list(declared))
            }
        }
    }

    /// The JSON patch of the Service that mends it, where it is certain.
    pub(crate) fn patch(&self, service: &Service) -> Option<String> {
        let operations = match self {
            Self::NotOffered { port, declared: true, .. } => {
                // A Service with several ports must name each.
                let unnamed = service.spec.ports.iter().enumerate().filter(|(_, p)| p.name.is_none());
                let mut all: Vec<Value> = unnamed
                    .flat_map(|(at, p)| {
                        let name = json_patch::add(&format!("/spec/ports/{at}/name"), format!("port-{}", p.port));
                        [json_patch::test(&format!("/spec/ports/{at}/port"), p.port), name]
                    })
                    .collect();
                let value = json!({"name": "metrics", "port": port, "targetPort": port});
                all.push(json_patch::add("/spec/ports/-", value));
                all
            }
            Self::NoSuchTarget { index, declared, port, .. } if declared.len() == 1 => {
                let path = format!("/spec/ports/{index}");
                let target = json_patch::replace(&format!("{path}/targetPort"), declared[0]);
                vec![json_patch::test(&format!("{path}/port"), *port), target]
            }
            _ => return None,
        };
        Some(json_patch::text(operations))
    }
}

fn list(ports: &[u16]) -> String {
    if ports.is_empty() {
        return "none".to_owned();
    }
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

fn declared(pods: &[&Pod]) -> Vec<u16> {
    let mut ports: Vec<u16> =
        pods.iter().flat_map(|p| p.all_containers()).flat_map(|c| &c.ports).map(|p| p.container_port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
