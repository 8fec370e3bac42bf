//! What a run looks at.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Gap;

/// Whether the cluster is EKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Platform {
    /// An EKS cluster.
    Eks,
    /// Another cluster: AWS checks do not apply.
    Other,
    /// Could not be told (no node could be read and the kubeconfig does not say).
    #[default]
    Unknown,
}

/// The API server did not let anybody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRefusal {
    /// What it said, or why it could not be reached.
    pub gap: Gap,
    /// The host that the kubeconfig names, where there is one.
    pub server: Option<String>,
}

/// Which namespaces a run looks at, and where the stack's parts are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Namespaces of the monitoring stack, the main one first.
    pub stack: Vec<String>,
    /// A part of the stack was seen; else the namespace is the named or the usual one.
    pub discovered: bool,
    /// The user named the namespace.
    pub named: bool,
    /// Lists that tell where the stack is and that could not be read.
    pub gaps: Vec<Gap>,
    /// Namespaces whose Services Prometheus scrapes.
    pub scraped: BTreeSet<String>,
    /// Namespaces outside of the stack in which operators, log agents or log stores run.
    pub parts: BTreeSet<String>,
    /// Namespaces of programs that the stack hangs on and that nobody runs for it alone (DNS records, the network plugin): they are
    /// read, and what else is in them is not judged.
    pub guests: BTreeSet<String>,
    /// Every namespace, where all of them are to be judged; empty otherwise.
    pub all: BTreeSet<String>,
    /// The Service through which Prometheus is asked.
    pub prometheus: Option<Component>,
    /// The Service through which Alertmanager is asked.
    pub alertmanager: Option<Component>,
    /// The Service through which Grafana is asked.
    pub grafana: Option<Component>,
    /// URLs that the user gave instead, by `prometheus`, `alertmanager` and `grafana`.
    pub given: BTreeMap<&'static str, String>,
}

impl Scope {
    /// All namespaces that are read in full, kube-system for the CSI, DNS and CNI parts included.
    pub fn namespaces(&self) -> BTreeSet<String> {
        let beside = self.scraped.iter().chain(&self.parts).chain(&self.guests).chain(&self.all).cloned();
        self.stack.iter().cloned().chain(beside).chain(["kube-system".to_owned()]).collect()
    }

    /// True for a namespace whose pods and volumes are judged: of the stack, of its log stores, agents and operators beside
    /// it, or any where all are.
    pub fn is_judged(&self, namespace: &str) -> bool {
        !self.all.is_empty() || self.is_stack(namespace) || self.parts.contains(namespace)
    }

    /// Why nobody knows where the stack is: none was found, and a list that would show it could not be read. What was
    /// looked at instead, the usual namespace, says nothing of it then.
    pub fn unknown(&self) -> Option<&Gap> {
        if self.discovered || self.named { None } else { self.gaps.first() }
    }

    /// True for a namespace of the monitoring stack.
    pub fn is_stack(&self, namespace: &str) -> bool {
        self.stack.iter().any(|n| n == namespace)
    }
}

/// A part of the stack that has an HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Namespace of its Service.
    pub namespace: String,
    /// Name of its Service.
    pub service: String,
    /// Port of the Service.
    pub port: u16,
    /// `http` or `https`, by the port's name.
    pub scheme: &'static str,
    /// Path prefix (`--web.route-prefix`), without trailing slash; empty mostly.
    pub prefix: String,
}
