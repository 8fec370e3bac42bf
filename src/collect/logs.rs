//! Logs: of the stack's programs, of what it stands on, and of containers before they ended.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::Plan;
use super::client::Client;
use super::source::{FetchError, Request};
use crate::domain::alertmanager::bridge;
use crate::domain::kubernetes::{foundation, ingress, operator_log, proxy_log, skew, starting};
use crate::domain::programs::Strangers;
use crate::domain::programs::known::{gives_names, is_further, is_node_exporter, is_part, is_proxy};
use crate::domain::prometheus::exporter_log;
use crate::domain::text::windows::DAY;
use crate::domain::traffic::router_log;
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Reading, Snapshot, Text};

/// Containers whose logs are read at most: a broken stack has a handful, a broken cluster thousands.
const MAX_LOGS: usize = 20;
/// The same, of other parts.
const MAX_PART_LOGS: usize = 50;
/// Pods of one DaemonSet, Deployment or StatefulSet whose logs are read at most.
const PODS_OF_OWNER: usize = 3;
/// Seconds for which the log of a container that ended and is ready again is of interest.
const RECENT_END: i64 = 900;
/// The end of the stack's logs, and of the previous logs of failing containers of the stack.
pub(super) async fn logs(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    // Where the list of pods broke off, nobody knows whose logs there are besides.
    let cut: Vec<Gap> = snap.pods.gaps().iter().filter(|g| g.cause == GapCause::Truncated).cloned().collect();
    if plan.wants(Fact::ComponentLogs) {
        snap.component_logs = component_logs(client, snap).await.lacking(cut.clone());
    }
    if plan.wants(Fact::PartLogs) {
        snap.part_logs = part_logs(client, snap).await.lacking(cut.clone());
    }
    if plan.wants(Fact::CrashLogs) {
        snap.crash_logs = crash_logs(client, snap).await.lacking(cut);
    }
}

/// Logs of containers that run: what they complain of.
async fn component_logs(client: &Client, snap: &Snapshot) -> Reading<Vec<ContainerLog>> {
    let pods = match snap.pods() {
        Ok(pods) => pods.iter(),
        Err(gap) => return Err(gap).into(),
    };
    let pods = pods.filter(|p| snap.scope.is_stack(&p.metadata.namespace));
    let running = pods.filter(|p| p.status.phase == "Running");
    let wanted = running.flat_map(|pod| pod.spec.containers.iter().map(move |container| (pod, container)));
    let wanted = wanted.filter(|(_, container)| container.program().is_some());
    Ok(read_logs(client, wanted.map(|(pod, container)| (pod, container, false)).take(MAX_LOGS).collect()).await).into()
}

/// Logs of the parts that the stack consists of and stands on: of each controller's pods only a few, those in trouble
/// first.
async fn part_logs(client: &Client, snap: &Snapshot) -> Reading<Vec<ContainerLog>> {
    let pods = match snap.pods() {
        Ok(pods) => pods,
        Err(gap) => return Err(gap).into(),
    };
    let mut pods: Vec<&Pod> = pods.iter().filter(|p| p.status.phase == "Running").collect();
    // What leads to Services is read last, where there is room: it mostly says nothing.
    pods.sort_by_cached_key(|p| {
        let is_well = !in_trouble(p, snap);
        (is_well, is_well && proxy_log::is_proxy(p), p.metadata.namespace.clone(), p.metadata.name.clone())
    });
    let asking = nodes_of_stack(snap);
    let strangers = Strangers::of(snap);
    // What writes DNS records matters where the stack is to be reached by a name.
    let is_named = ingress::of_stack(snap).next().is_some()
        || ingress::balanced(snap).next().is_some()
        || !(snap.ingresses.gaps().is_empty() && snap.services.gaps().is_empty());
    // What routes requests by host says much of everybody's: it is read where the stack has an Ingress of it.
    let is_routed = router_log::serves_stack(snap);
    let mut of_owner: BTreeMap<String, usize> = BTreeMap::new();
    let mut wanted: Vec<(&Pod, &Container, bool)> = Vec::new();
    for pod in pods {
        let trouble = in_trouble(pod, snap);
        let stack = snap.scope.is_stack(&pod.metadata.namespace) || snap.scope.parts.contains(&pod.metadata.namespace);
        let behind = is_left_behind(pod, snap);
        let wants = |c: &&Container| {
            c.program().is_none()
                && if gives_names(c) {
                    is_named
                } else if is_proxy(c) {
                    trouble || behind || pod.spec.node_name.as_deref().is_some_and(|n| asking.contains(n))
                } else if is_part(c)
                    || is_further(pod, c)
                    || operator_log::is_of_stack(c)
                    || (stack && operator_log::is_operator(c))
                    || (is_routed && router_log::is_controller(&c.image))
                {
                    true
                } else {
                    (stack && trouble) || behind || strangers.has(pod, c)
                }
        };
        let containers: Vec<&Container> = pod.spec.containers.iter().filter(wants).collect();
        let count = of_owner.entry(snap.owner_ref(pod).key()).or_default();
        if containers.is_empty() || *count >= PODS_OF_OWNER {
            continue;
        }
        *count += 1;
        wanted.extend(containers.into_iter().map(|container| (pod, container, false)));
    }
    // What measures the nodes is well almost always, and of programs that nobody here knows one log of each is enough: the
    // others come first.
    let is_strange = |p: &Pod, c: &Container| !in_trouble(p, snap) && strangers.has(p, c);
    let mut strange = BTreeSet::new();
    wanted.retain(|(p, c, _)| !is_strange(p, c) || strange.insert((snap.owner_ref(p).key(), c.name.as_str())));
    wanted.sort_by_cached_key(|(p, c, _)| !in_trouble(p, snap) && (is_node_exporter(c) || strangers.has(p, c)));
    wanted.truncate(MAX_PART_LOGS);
    // Recordings of before do not hold the logs of exporters, of kube-proxy, of operators, of what routes requests or passes
    // alerts on, and of programs that nobody here knows, which add to what others say.
    let is_later = |p: &Pod, c: &Container| {
        exporter_log::exporter(c)
            || router_log::is_controller(&c.image)
            || bridge::is_bridge(&c.image)
            || operator_log::is_operator(c)
            || is_strange(p, c)
    };
    let (exporters, parts): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(p, c, _)| {
        is_node_exporter(c) || !is_part(c) && is_later(p, c) || is_proxy(c) && !is_left_behind(p, snap)
    });
    let mut logs = read_logs(client, parts).await;
    let further = read_logs(client, exporters).await;
    logs.extend(further.into_iter().filter(|log| log.text.gap().is_none_or(|gap| !gap.is_not_collected())));
    Ok(logs).into()
}

/// Not ready, or started again lately.
fn in_trouble(pod: &Pod, snap: &Snapshot) -> bool {
    !pod.is_ready() || pod.statuses().any(|s| s.ended_within(3600, snap.collected_at))
}

/// A kube-proxy that an update of the cluster has left behind further than is supported.
fn is_left_behind(pod: &Pod, snap: &Snapshot) -> bool {
    let own = pod.spec.containers.iter().filter(|c| is_proxy(c)).find_map(|c| skew::minor_of_image(&c.image));
    let cluster = snap.target.kubernetes_version.as_deref().and_then(skew::minor);
    own.zip(cluster).is_some_and(|(own, cluster)| own + skew::KUBE_PROXY < cluster)
}

/// The nodes on which Prometheus, Alertmanager and Grafana of the stack run.
fn nodes_of_stack(snap: &Snapshot) -> BTreeSet<&str> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    let own = pods.filter(|p| snap.scope.is_stack(&p.metadata.namespace));
    let main = own.filter(|p| p.spec.containers.iter().any(|c| c.program().is_some()));
    main.filter_map(|p| p.spec.node_name.as_deref()).collect()
}

/// A pod of a Job of the stack or its parts that failed within a day: it is not started again.
fn is_failed_job(pod: &Pod, snap: &Snapshot) -> bool {
    let of_job = pod.metadata.controller().is_some_and(|o| o.kind == "Job");
    of_job
        && pod.status.phase == "Failed"
        && snap.scope.is_judged(&pod.metadata.namespace)
        && pod.statuses().any(|s| s.ended_within(DAY, snap.collected_at))
}

/// Previous logs of containers that ended and were started again; of one whose previous log is gone the current one.
async fn crash_logs(client: &Client, snap: &Snapshot) -> Reading<Vec<ContainerLog>> {
    let pods = match snap.pods() {
        Ok(pods) => pods,
        Err(gap) => return Err(gap).into(),
    };
    let mut wanted = Vec::new();
    for pod in pods {
        let statuses = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
        let job = is_failed_job(pod, snap);
        let held = starting::stuck(snap, pod).map(|h| h.container.name.as_str());
        let ended = statuses.filter(|s| {
            // What the others wait for may say why it does not get on.
            if held == Some(s.name.as_str()) {
                return true;
            }
            let again = s.restart_count > 0 && (!s.ready || s.ended_within(RECENT_END, snap.collected_at));
            again || (job && s.state.terminated.as_ref().is_some_and(|t| t.exit_code != 0))
        });
        for status in ended {
            let container = pod.all_containers().find(|c| c.name == status.name);
            wanted.extend(container.map(|container| (pod, container, true)));
        }
    }
    // Only so many are read: those of the stack first, then those of what it stands on.
    wanted.sort_by_key(|(pod, _, _)| (!snap.scope.is_stack(&pod.metadata.namespace), !foundation::is_part(pod)));
    wanted.truncate(MAX_LOGS);
    let previous = read_logs(client, wanted.clone()).await;
    // The current log stands for a previous one that is gone or cannot be read.
    let is_read = |l: &&ContainerLog| l.text.gap().is_none() && !l.text.trim().is_empty();
    let mut logs: Vec<ContainerLog> = previous.iter().filter(is_read).cloned().collect();
    wanted.retain(|(pod, container, _)| {
        let is_it = |l: &ContainerLog| l.is_of(&pod.metadata) && l.container == container.name;
        !logs.iter().any(is_it)
    });
    let current = wanted.into_iter().map(|(pod, container, _)| (pod, container, false)).collect();
    logs.extend(read_logs(client, current).await);
    // What the current log does not hold may have stood in the previous one that was refused.
    let refused = previous.iter().filter_map(|l| l.text.gap()).filter(|gap| !gap.is_not_collected());
    let holes = refused.cloned().collect();
    Reading::with_holes(Ok(logs), holes)
}

/// Reads logs. That a container has none is an answer; one that could not be read is in the list without its text: what was
/// read elsewhere counts all the same, and whoever looks into this one meets the gap.
async fn read_logs(client: &Client, wanted: Vec<(&Pod, &Container, bool)>) -> Vec<ContainerLog> {
    let requests: Vec<Request> =
        wanted.iter().map(|(pod, container, previous)| log_request(pod, container, *previous)).collect();
    let answers = join_all(requests.iter().map(|request| client.text(request))).await;
    let mut logs = Vec::new();
    for (((pod, container, previous), request), answer) in wanted.into_iter().zip(&requests).zip(answers) {
        let text = match answer {
            Ok(text) => tail(&text).into(),
            Err(FetchError::Gap(gap)) if gap.cause == GapCause::BadAnswer && gap.message.starts_with("HTTP 400") => {
                continue;
            }
            Err(FetchError::NotFound(_)) => continue,
            Err(error) => Text::unread(error.into_gap(&request.label())),
        };
        logs.push(ContainerLog {
            namespace: pod.metadata.namespace.clone(),
            pod: pod.metadata.name.clone(),
            container: container.name.clone(),
            program: container.program(),
            image: container.image.clone(),
            previous,
            text,
        });
    }
    logs
}

fn log_request(pod: &Pod, container: &Container, previous: bool) -> Request {
    Request::Log {
        namespace: pod.metadata.namespace.clone(),
        pod: pod.metadata.name.clone(),
        container: container.name.clone(),
        previous,
    }
}

/// The part of a log that a live source would have given.
fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(super::live::LOG_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let text = &text[start..];
    let skip = text.lines().count().saturating_sub(super::live::LOG_LINES);
    match text.match_indices('\n').nth(skip.wrapping_sub(1)) {
        Some((at, _)) if skip > 0 => &text[at + 1..],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_cut_to_its_last_lines() {
        let text: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let cut = tail(&text);
        assert_eq!(cut.lines().count(), super::super::live::LOG_LINES);
        assert!(cut.ends_with("line 999\n"));
        assert_eq!(tail("short"), "short");
    }
}
