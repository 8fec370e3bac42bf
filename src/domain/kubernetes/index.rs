//! Look-ups that several checks need: pods behind a Service, owners, the Service behind a scrape URL.

use crate::domain::kubernetes::service_host::in_cluster;
use crate::model::{Program, ResourceRef};
use crate::snapshot::kubernetes::{ConfigMap, Map, Meta, Node, Pod, Service, Workload};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Fetched, Snapshot, journal};

/// Plain equality selector (`spec.selector` of a Service): empty selects nothing.
pub(crate) fn selects(selector: &Map, labels: &Map) -> bool {
    !selector.is_empty() && selector.iter().all(|(k, v)| labels.get(k) == Some(v))
}

/// The workload that owns a pod, by owner references and the ReplicaSet naming of Deployments: kind and name.
pub(crate) fn owner_of(meta: &Meta) -> Option<(&str, &str)> {
    let owner = meta.controller()?;
    if owner.kind == "ReplicaSet"
        && let Some(hash) = meta.label("pod-template-hash")
        && let Some(name) = owner.name.strip_suffix(hash).and_then(|n| n.strip_suffix('-'))
    {
        return Some(("Deployment", name));
    }
    Some((&owner.kind, &owner.name))
}

/// API group of a workload kind.
pub(crate) fn group_of(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => "apps",
        "Job" | "CronJob" => "batch",
        "Prometheus" | "Alertmanager" => "monitoring.coreos.com",
        _ => "",
    }
}

impl Workload {
    /// As a resource.
    pub fn reference(&self) -> ResourceRef {
        ResourceRef::kubernetes(group_of(&self.kind), &self.kind, &self.metadata.namespace, &self.metadata.name)
    }

    /// `deployment/prometheus`, as kubectl takes it.
    pub fn kubectl_name(&self) -> String {
        self.reference().kubectl_name()
    }
}

impl ConfigMap {
    /// As a resource.
    pub fn reference(&self) -> ResourceRef {
        ResourceRef::config_map(&self.metadata.namespace, &self.metadata.name)
    }
}

impl Snapshot {
    /// Current logs of one program's containers.
    ///
    /// # Errors
    /// The gap, if no log of the stack could be read.
    pub fn logs_of(&self, program: Program) -> Fetched<Vec<&ContainerLog>> {
        let of_it = |l: &&ContainerLog| !l.previous && l.program == Some(program);
        Ok(self.component_logs()?.iter().filter(of_it).collect())
    }

    /// The owner of a pod as a resource: its Deployment, StatefulSet …, or the pod itself if nothing owns it.
    pub fn owner_ref(&self, pod: &Pod) -> ResourceRef {
        match owner_of(&pod.metadata) {
            Some((kind, name)) => ResourceRef::kubernetes(group_of(kind), kind, &pod.metadata.namespace, name),
            None => ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name),
        }
    }

    /// The pod that wrote a log, where it was read and is still there.
    pub fn pod_of_log(&self, log: &ContainerLog) -> Option<&Pod> {
        self.pods.find(&log.namespace, &log.pod).ok().flatten()
    }

    /// What a container writes and wrote, in all logs that were read.
    pub fn logs_of_container<'a>(&'a self, pod: &'a Pod, container: &'a str) -> impl Iterator<Item = &'a ContainerLog> {
        let all = [self.component_logs(), self.part_logs(), self.crash_logs()].into_iter().flatten().flatten();
        all.filter(move |log| log.is_of(&pod.metadata) && log.container == container)
    }

    /// What owns that pod; the pod itself where nothing is known of it.
    pub fn owner_of_log(&self, log: &ContainerLog) -> ResourceRef {
        self.pod_of_log(log).map_or_else(|| ResourceRef::pod(&log.namespace, &log.pod), |pod| self.owner_ref(pod))
    }

    /// Pods of a workload, among those in scope; finished ones are left out.
    pub fn pods_of_workload<'a>(&'a self, workload: &Workload) -> impl Iterator<Item = &'a Pod> + use<'a> {
        let own = workload.reference();
        self.pods.items().unwrap_or_default().iter().filter(move |p| !p.is_finished() && self.owner_ref(p) == own)
    }

    /// Pods that a Service selects, among those in scope; finished ones are left out as the endpoints controller does.
    pub fn pods_of_service<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a Pod> {
        self.pods.items().unwrap_or_default().iter().filter(move |p| {
            p.metadata.namespace == service.metadata.namespace
                && !p.is_finished()
                && selects(&service.spec.selector, &p.metadata.labels)
        })
    }

    /// Addresses of a Service by readiness: (ready, not ready). `None` where no EndpointSlice of its namespace was read.
    pub fn endpoints_of(&self, service: &Service) -> Option<(usize, usize)> {
        if !self.endpoint_slices.covers(&service.metadata.namespace) {
            return None;
        }
        let meta = &service.metadata;
        let slices = self.endpoint_slices.about(&meta.namespace, &meta.name);
        let mut counts = (0, 0);
        for endpoint in slices.flat_map(|s| &s.endpoints) {
            if endpoint.conditions.ready.unwrap_or(true) { counts.0 += 1 } else { counts.1 += 1 }
        }
        Some(counts)
    }

    /// The Service behind a host of a scrape URL, by DNS name as Prometheus' pod resolves it, or by cluster IP.
    pub fn service_by_host(&self, host: &str) -> Option<&Service> {
        let services = self.services.items().ok()?;
        if let Ok(ip) = host.parse::<std::net::IpAddr>() {
            let ip = ip.to_string();
            return services.iter().find(|s| s.spec.cluster_ip.as_deref() == Some(&ip));
        }
        let own = self.scope.prometheus.as_ref().map_or("", |p| p.namespace.as_str());
        let host = in_cluster(self, host, own)?;
        self.services.find(&host.namespace, &host.service).ok().flatten()
    }

    /// The pod with an address.
    pub fn pod_by_ip(&self, ip: &str) -> Option<&Pod> {
        self.pods.items().ok()?.iter().find(|p| p.status.pod_ip.as_deref() == Some(ip) && !p.spec.host_network)
    }

    /// The node that a pod runs on.
    pub fn node_of(&self, pod: &Pod) -> Option<&Node> {
        let name = pod.spec.node_name.as_deref()?;
        self.nodes.items().ok()?.iter().find(|n| n.metadata.name == name)
    }

    /// Events about nodes and about what makes them.
    pub fn events_of_nodes(&self) -> impl Iterator<Item = &crate::snapshot::kubernetes::Event> {
        self.unread_node_events.iter().for_each(journal::note);
        self.events.items().unwrap_or_default().iter().filter(|e| e.is_of_nodes())
    }

    /// Events about one object, newest first, none older than `seconds` before the snapshot.
    pub fn events_about(&self, kind: &str, meta: &Meta, seconds: i64) -> Vec<&crate::snapshot::kubernetes::Event> {
        if kind == "Node" {
            self.unread_node_events.iter().for_each(journal::note);
        }
        // Where all events are read, those of one kind were not asked for.
        let is_read = meta.namespace.is_empty() || journal::aside(|| self.events.covers(&meta.namespace));
        let of_kind = self.events_of_kind.get(kind).filter(|_| !is_read);
        let mut events: Vec<_> = of_kind
            .unwrap_or(&self.events)
            .about(&meta.namespace, &meta.name)
            .filter(|e| {
                let object = &e.involved_object;
                // An object that was deleted and made again has the name of the old one, not its history.
                // The kubelet and agents of nodes give the name of a node for its uid.
                let same = object.uid.as_deref().is_none_or(|uid| {
                    uid.is_empty() || meta.uid.is_empty() || uid == meta.uid || (kind == "Node" && uid == meta.name)
                });
                object.kind == kind && object.name == meta.name && object.namespace == meta.namespace && same
            })
            .filter(|e| e.is_within(seconds, self.collected_at))
            .collect();
        events.sort_by_key(|e| std::cmp::Reverse(e.last_seen()));
        events
    }

    /// Seconds between a time and the snapshot; negative where the clocks disagree.
    pub fn seconds_since(&self, time: jiff::Timestamp) -> i64 {
        self.collected_at.as_second() - time.as_second()
    }

    /// Seconds since an object was made; 0 where its age is not known or the clocks disagree.
    pub fn age_seconds(&self, meta: &Meta) -> i64 {
        meta.creation_timestamp.map_or(0, |t| self.seconds_since(t).max(0))
    }
}
