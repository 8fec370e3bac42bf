//! The Prometheus operator, kube-state-metrics and other programs that live on the Kubernetes API.

use crate::domain::crash::{Class, Crash, Detail, certificate as peer, common};
use crate::domain::kubernetes::forbidden::{Account, Act};
use crate::domain::text::log_line::{Level, Line};
use crate::text::pattern::pattern;

/// The VPC CNI tries to reach the API server before it starts, and says so as information only.
pub(crate) fn without_server(text: &str) -> Option<Crash> {
    let words = ["Failed to communicate with K8S Server", "Unable to reach API Server"];
    let last = text.lines().rev().find(|l| !l.trim().is_empty())?;
    words.iter().any(|w| last.contains(w)).then(|| {
        let why = last.split_once(": ").map_or(last, |(_, rest)| rest.trim_end_matches(['"', '}']));
        let reason = match pattern!(r"dial tcp \S+: [^\x22\\]+").find(why) {
            Some(dial) => format!("it does not reach the API server: {}", dial.as_str()),
            None => "it does not reach the API server".to_owned(),
        };
        Crash { said: crate::domain::text::redact::redact(last), ..Crash::new(Class::ApiServer, reason) }
    })
}

const HASHRING: &str = "Thanos' receiver counts the `endpoints` of the file that `--receive.hashrings-file` names. \
    A list that is written by hand has to name each receiver. Where thanos-receive-controller writes it, it names \
    only pods that are ready, and none becomes ready before the file is complete: start with one copy \
    (`--receive.replication-factor=1`) or a list of your own, or let the receivers that route be others than \
    those that ingest.";

/// Reads a line of a program that is none of Prometheus, Alertmanager and Grafana.
pub(crate) fn read(line: &Line<'_>) -> Option<Crash> {
    if line.level == Level::Warning {
        return None;
    }
    let text = line.text();
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    if let Some(found) = pattern!(
        r#"(?:[\w.]+ )?(?:"[^"]*" )?is forbidden: User \\*"system:serviceaccount:([^":]+):([^"\\]+)\\*" cannot (\w+) resource \\*"([^"\\]+)\\*"(?: in API group \\*"([^"\\]*)\\*")?"#
    )
    .captures(&text)
    {
        let account = Account { namespace: found[1].to_owned(), name: found[2].to_owned() };
        let act = Act {
            verb: found[3].to_owned(),
            resource: found[4].to_owned(),
            group: found.get(5).map(|g| g.as_str().to_owned()).unwrap_or_default(),
            namespace: None,
        };
        let reason =
            format!("ServiceAccount {}/{} may not {} {}", account.namespace, account.name, act.verb, act.full_name());
        return Some(Crash::new(Class::Forbidden, reason).what(&found[4]).detail(Detail::Denied(account, act)));
    }
    if let Some(found) = pattern!(r#"found reference to unset environment variable \\*"([^"\\]+)"#).captures(&text) {
        let reason = format!("the configuration holds $({}), and no such variable is set for it", &found[1]);
        return Some(Crash::new(Class::Variable, reason).what(&found[1]));
    }
    if let Some(found) = pattern!(r"\b(?:read|open) (/\S+): is a directory").captures(&text) {
        return Some(Crash::new(Class::ConfigDirectory, &found[0]).file(&found[1]));
    }
    // Those who only watch files say no more where the node lets nobody watch another one.
    if pattern!(r"^(?:[\d/]+ [\d:.]+ )?too many open files$").is_match(text.trim()) {
        return Some(Crash::new(Class::Inotify, "too many open files, at the start of a program that watches files"));
    }
    if has(&[
        "failed to make file target manager: too many open files",
        "inotify_init",
        "inotify instances",
        "failed to create fsnotify watcher",
    ]) || has(&["inotify", "fsnotify", "watcher"]) && has(&["too many open files"])
    {
        return Some(Crash::new(Class::Inotify, &text));
    }
    if let Some(crash) = packet_filter(&text) {
        return Some(crash);
    }
    if let Some(found) =
        pattern!(r"max virtual memory areas vm\.max_map_count \[(\d+)\] is too low, increase to at least \[(\d+)\]")
            .captures(&text)
    {
        let reason = format!("the node's vm.max_map_count is {} and it wants {} at least", &found[1], &found[2]);
        return Some(Crash::new(Class::MapCount, reason).what(&found[2]));
    }
    if let Some(found) = pattern!(r#"java\.nio\.file\.AccessDeniedException: (/[^\s\\"]+)"#).captures(line.raw) {
        return Some(Crash::new(Class::Permission, format!("it may not write {}", &found[1])).file(&found[1]));
    }
    if let Some(found) = pattern!(r#"host not found in (resolver|upstream) "([^"]+)""#).captures(&text) {
        let host = found[2].trim_end_matches('.').to_owned();
        let crash =
            Crash::new(Class::Unreached, format!("{host} is not found in the DNS (nginx names it as {})", &found[1]));
        let advice = match &found[1] {
            "resolver" => {
                "nginx asks the cluster's DNS by the name that its configuration has: Service kube-dns of kube-system on EKS, coredns or another elsewhere, with the cluster's domain. In the values of Grafana's charts: global.dnsService (dnsNamespace, clusterDomain)."
            }
            _ => "",
        };
        return Some(crash.what(host).advice(advice));
    }
    if let Some(found) =
        pattern!(r#"cannot acquire lock on file "([^"]+)": resource temporarily unavailable"#).captures(&text)
    {
        let reason = format!("another process holds {}", &found[1]);
        return Some(Crash::new(Class::Lock, reason).file(&found[1]));
    }
    if let Some(found) = pattern!(r"no use?able address found for interfaces \[([^\]]*)\]").captures(&text) {
        let names = found[1].replace(' ', ", ");
        let reason = format!("its ring finds no address on the interfaces at which it looks ({names})");
        return Some(Crash::new(Class::Memberlist, reason).what(names));
    }
    if has(&["no private ip address found", "no useable address found", "no usable address found"]) {
        let reason = "its ring finds no address for itself: none of the pod's interfaces has one of the private ranges";
        return Some(Crash::new(Class::Memberlist, reason));
    }
    if has(&["input/output error"]) {
        let crash = Crash::new(Class::Device, format!("the disk gives errors: {text}"));
        return Some(crash.maybe_file(common::path(&text)));
    }
    if has(&["compaction needs to be disabled"]) {
        let reason = "Prometheus compacts its blocks, and the side-car uploads only what is not compacted";
        return Some(Crash::new(Class::Compaction, reason));
    }
    if has(&["amount of endpoints needs to be larger than replication factor"]) {
        let reason = "its hashring has fewer endpoints than `--receive.replication-factor` asks for copies";
        return Some(Crash::new(Class::Config, reason).advice(HASHRING));
    }
    if has(&["no external labels configured on prometheus server"]) {
        return Some(Crash::new(Class::ExternalLabels, "no external labels are configured on Prometheus"));
    }
    // The CRD is what it was about to make: it is the API for that which is gone.
    if has(&["could not find the requested resource"])
        && pattern!(r"\bcreat(?:e|ing) (?:the )?(?:crds?|customresourcedefinitions?)\b").is_match(&lower)
    {
        let reason = format!("it makes its CRDs by an API that the cluster does not serve: {text}");
        return Some(Crash::new(Class::CrdMissing, reason).detail(Detail::OldApi));
    }
    let missing = has(&["no matches for kind", "could not find the requested resource", "no kind is registered"])
        || has(&["customresourcedefinition", "crd"])
            && has(&["not found", "does not exist", "not installed", "missing"]);
    if missing {
        let kind =
            pattern!(r#"kind "(\w+)"|\((?:get|list|watch) (\w+\.[a-z0-9.-]+\.[a-z]+)|(?:get|list) (\w+\.monitoring\.coreos\.com)|list \*\w+\.(\w+)"#)
                .captures(&text);
        let kind = kind.and_then(|c| c.iter().skip(1).flatten().next().map(|m| m.as_str().to_owned()));
        return Some(Crash { what: kind, ..Crash::new(Class::CrdMissing, &text) });
    }
    let certificate = has(&["x509", "certificate", "tls:", "tls config", "tls-cert", "/cert", ".crt", ".pem"]);
    // Another one whose certificate it does not trust is told by its name.
    let is_its_own = has(&["calling webhook", "call webhook"]) || peer::read(line).is_none();
    if certificate
        && is_its_own
        && has(&[
            "no such file",
            "failed to load",
            "failed to create tls",
            "expired",
            "does not match",
            "unknown authority",
            "find any pem",
        ])
    {
        return Some(Crash::new(Class::Webhook, &text).maybe_file(common::path(&text)));
    }
    let api = has(&[
        "communicating with server failed",
        "communicate with apiserver",
        "communicate with the api",
        "failed to create client",
        "unable to connect to the server",
    ]) || has(&["https://10.", "https://172.", "https://kubernetes.default"])
        && has(&["i/o timeout", "connection refused", "no route to host"]);
    if api && has(&["dial tcp", "timeout", "refused", "no route"]) {
        return Some(Crash::new(Class::ApiServer, &text));
    }
    None
}

/// Init containers of a mesh: rules that the kernel does not take, or that the mesh's agent of the node has not written.
fn packet_filter(text: &str) -> Option<Crash> {
    let lower = text.to_ascii_lowercase();
    if lower.contains("iptables validation failed; workload is not ready") {
        let reason = "the rules of the mesh are not in its packet filter: the mesh's CNI agent did not write them when it was made";
        return Some(Crash::new(Class::PacketFilter, reason).what("validation"));
    }
    let table = pattern!(r"(?:unable to|can't) initialize (?:iptables |ip6tables )?table [`'](\w+)'");
    // Without the right to it nothing is known of the tables.
    let found = table.captures(text).filter(|_| !lower.contains("permission denied"))?;
    let reason = format!(
        "iptables has no table {} on its node: the kernel lacks the module, or keeps it as nf_tables only",
        &found[1]
    );
    Some(Crash::new(Class::PacketFilter, reason))
}

/// A controller that gave up for want of its lease: who leads has to say so in time, and the API server did not answer.
pub(crate) fn lost_lease(text: &str) -> Option<Crash> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(30)..];
    let gave_up = |l: &&&str| {
        let l = l.to_ascii_lowercase();
        ["stopped leading", "leader election lost", "leaderelection lost", "lost lease", "lost master"]
            .iter()
            .any(|w| l.contains(w))
    };
    let said = last.iter().rev().find(gave_up)?;
    let why = pattern!(r#"error (?:retrieving|updating|initially creating) resource lock (\S+?):? (.+)$"#);
    // Another one took it, or it may not: these were answers.
    let answers = ["object has been modified", "forbidden", "not found", "context canceled"];
    let is_silence = |found: &regex::Captures<'_>| !answers.iter().any(|a| found[2].contains(a));
    let told = last.iter().rev().find_map(|l| why.captures(l)).filter(is_silence);
    // A controller that is stopped gives its lease up with the same words.
    let lapsed = |l: &&str| l.contains("failed to renew lease") && !l.contains("context canceled");
    if told.is_none() && !last.iter().any(lapsed) {
        return None;
    }
    let reason = match told {
        Some(found) => format!(
            "it lost the lease by which it leads ({}), for the API server did not answer it in time: {}",
            found[1].trim_end_matches(':'),
            found[2].trim_end_matches(['"', '\\'])
        ),
        None => {
            "it lost the lease by which it leads: the API server did not answer it in time, or the program had no CPU"
                .to_owned()
        }
    };
    Some(Crash { said: crate::domain::text::redact::redact(said), ..Crash::new(Class::ApiServer, reason) })
}

/// Groups with a domain that Kubernetes itself serves, or a server beside it: no CRD brings their kinds.
const SERVED: &[&str] = &[
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "custom.metrics.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "external.metrics.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "metrics.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

impl Crash {
    /// The kind that is missing is of no CRD: its version is gone or not there yet, or the server beside is not there.
    pub(crate) fn is_of_server(&self) -> bool {
        self.detail == Detail::OldApi || self.group().is_some_and(|g| !g.contains('.') || SERVED.contains(&g))
    }

    /// The API group of the kind that is missing: `no matches for kind "PolicyEndpoint" in version "networking.k8s.aws/v1alpha1"`,
    /// `could not find the requested resource (get volumesnapshots.snapshot.storage.k8s.io)`.
    pub(crate) fn group(&self) -> Option<&str> {
        let named = pattern!(
            r#"in (?:version \\?"([a-z0-9.-]+)/v|group \\?"([a-z0-9.-]+))|\((?:get|list|watch) \w+\.([a-z0-9-]+(?:\.[a-z0-9-]+)+)"#
        )
        .captures(&self.reason)?;
        named.iter().skip(1).flatten().next().map(|m| m.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_side_cars_say() {
        let of = |line: &str| read(&Line::parse(line)).map(|c| (c.class, c.what.or(c.file).unwrap_or_default()));
        let unset = r#"level=error ts=2026-11-21T02:53:13.951Z caller=main.go:223 msg="Failed to run" err="expand environment variables: found reference to unset environment variable \"NAMESPACE\"""#;
        assert_eq!(of(unset), Some((Class::Variable, "NAMESPACE".into())));
        let folder = r#"level=error caller=main.go:185 err="read /conf/objstore.yml: is a directory\nloading YAML file /conf/objstore.yml""#;
        assert_eq!(of(folder), Some((Class::ConfigDirectory, "/conf/objstore.yml".into())));
        assert_eq!(of("2026/11/21 02:53:28 too many open files").map(|c| c.0), Some(Class::Inotify));
        assert_eq!(of("accept tcp [::]:80: accept4: too many open files"), None, "its own files");
    }

    #[test]
    fn a_mesh_does_not_get_its_rules_written() {
        let of = |line: &str| read(&Line::parse(line)).map(|c| (c.class, c.what.is_some()));
        let restore = "2026-11-21T02:52:50.2Z error Command error output: xtables parameter problem: iptables-restore: unable to initialize table 'nat'";
        assert_eq!(of(restore), Some((Class::PacketFilter, false)));
        let old = "iptables v1.8.4 (legacy): can't initialize iptables table `nat': Table does not exist (do you need to insmod?)";
        assert_eq!(of(old), Some((Class::PacketFilter, false)));
        let validation = "2026-11-21T02:52:50.2Z error Iptables validation failed; workload is not ready for Istio.";
        assert_eq!(of(validation), Some((Class::PacketFilter, true)));
        let denied =
            "iptables v1.8.4 (legacy): can't initialize iptables table `nat': Permission denied (you must be root)";
        assert_eq!(of(denied), None, "it lacks a right, and not the table");
    }

    #[test]
    fn who_leads_gives_up_without_the_server() {
        let log = "E1121 02:51:59.013071       1 leaderelection.go:330] error retrieving resource lock kube-system/ebs-csi-aws-com: Get \"https://172.20.0.1:443/apis\": dial tcp 172.20.0.1:443: connect: connection refused\nI1121 02:52:04.008617       1 leaderelection.go:283] failed to renew lease kube-system/ebs-csi-aws-com: timed out waiting for the condition\nF1121 02:52:04.008666       1 leader_election.go:209] stopped leading\n";
        let crash = lost_lease(log).expect("a crash");
        assert!(crash.class == Class::ApiServer && crash.reason.contains("connection refused"), "{}", crash.reason);
        assert!(lost_lease("I1121 02:52:04.0 1 x.go:1] became leader\n").is_none());
        let stopped = "{\"level\":\"info\",\"msg\":\"Stopping and waiting for leader election runnables\"}\n{\"level\":\"error\",\"msg\":\"problem running manager\",\"error\":\"leader election lost\"}\n";
        assert!(lost_lease(stopped).is_none(), "it was told to stop");
        let taken = "E1121 02:51:59.0 1 leaderelection.go:332] error updating resource lock n/l: Operation cannot be fulfilled on leases \"l\": the object has been modified\nF1121 02:52:04.0 1 x.go:1] leaderelection lost\n";
        assert!(lost_lease(taken).is_none(), "another one has it");
    }

    #[test]
    fn a_kind_is_of_its_group() {
        let of = |line: &str| {
            let crash = read(&Line::parse(line)).expect("a crash");
            (crash.class, crash.group().map(str::to_owned), crash.what)
        };
        let snapshots = "E1121 02:52:02.279819       1 main.go:89] Failed to list v1 volumesnapshots with error=the server could not find the requested resource (get volumesnapshots.snapshot.storage.k8s.io)";
        assert_eq!(
            of(snapshots),
            (
                Class::CrdMissing,
                Some("snapshot.storage.k8s.io".to_owned()),
                Some("volumesnapshots.snapshot.storage.k8s.io".to_owned())
            )
        );
        let ours = "level=error msg=\"failed to list it\" err=\"the server could not find the requested resource (get prometheuses.monitoring.coreos.com)\"";
        assert_eq!(of(ours).1.as_deref(), Some("monitoring.coreos.com"));
        let own = "level=error err=\"the server could not find the requested resource\"";
        assert_eq!(of(own).1, None);
        let of_server = |line: &str| read(&Line::parse(line)).expect("a crash").is_of_server();
        assert!(of_server("the server could not find the requested resource (get ingresses.networking.k8s.io)"));
        assert!(of_server("no matches for kind \"CronJob\" in version \"batch/v1beta1\""));
        assert!(!of_server(snapshots) && !of_server(ours) && !of_server(own));
        assert!(of_server("err=\"creating CRD: Alertmanager: the server could not find the requested resource\""));
    }

    #[test]
    fn the_network_plugin_waits_for_the_server() {
        let log = "time=\"2026-11-21T02:52:04Z\" level=info msg=\"Starting IPAM daemon... \"\n{\"level\":\"info\",\"ts\":\"2026-11-21T02:52:34.221Z\",\"caller\":\"wait/wait.go:222\",\"msg\":\"Failed to communicate with K8S Server. Please check instance security groups or http proxy setting: Get \\\"https://172.20.0.1:443/version?timeout=5s\\\": dial tcp 172.20.0.1:443: i/o timeout\"}\n";
        let crash = without_server(log).expect("a crash");
        assert_eq!(
            (crash.class, crash.reason.as_str()),
            (Class::ApiServer, "it does not reach the API server: dial tcp 172.20.0.1:443: i/o timeout")
        );
        assert!(without_server("level=info msg=\"Starting\"\n").is_none());
    }
}
