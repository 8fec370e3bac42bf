//! The ports at which a program says in its log that it listens, beside the one at which a probe asks it.

use crate::domain::text::listening;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::text::pattern::pattern;

/// A probe that is refused at a port, while the log of the program speaks of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// Where the probe asks.
    pub(crate) asked: u16,
    /// Where the program says that it listens, in its order.
    pub(crate) listens: Vec<u16>,
    /// The line that says so.
    pub(crate) line: String,
}

impl Elsewhere {
    /// Of a container, by what its probe met: `dial tcp 10.0.0.1:3100: connect: connection refused`.
    pub(crate) fn of(snap: &Snapshot, pod: &Pod, container: &str, met: &str) -> Option<Self> {
        let asked = refused_port(met)?;
        let lines: Vec<(Vec<u16>, String)> =
            snap.logs_of_container(pod, container).flat_map(|l| lines(&l.text)).collect();
        let mut listens: Vec<u16> = Vec::new();
        for port in lines.iter().flat_map(|(ports, _)| ports) {
            if !listens.contains(port) {
                listens.push(*port);
            }
        }
        let line = lines.into_iter().next().map(|(_, line)| line)?;
        // A program that listens where its container says so has other ports beside them, of which it may say nothing.
        let declared: Vec<u16> = pod
            .all_containers()
            .filter(|c| c.name == container)
            .flat_map(|c| &c.ports)
            .map(|p| p.container_port)
            .collect();
        let as_meant = listens.iter().all(|port| declared.contains(port));
        (!as_meant && !listens.contains(&asked)).then_some(Self { asked, listens, line })
    }

    /// `3200 and 9095`.
    pub(crate) fn ports(&self) -> String {
        self.listens.iter().map(u16::to_string).collect::<Vec<_>>().join(" and ")
    }

    /// `its log says that it listens on ports 3200 and 9095, and nothing of 3100`.
    pub(crate) fn words(&self) -> String {
        let port = if self.listens.len() == 1 { "port" } else { "ports" };
        format!("its log says that it listens on {port} {}, and nothing of {}", self.ports(), self.asked)
    }
}

/// The port of a connection that was refused.
fn refused_port(met: &str) -> Option<u16> {
    let refused = pattern!(r"dial tcp \S+:(\d+): connect: connection refused").captures(met)?;
    refused[1].parse().ok()
}

/// The lines of a log that tell of ports at which its program listens.
fn lines(text: &str) -> Vec<(Vec<u16>, String)> {
    let told = text.lines().map(|line| {
        let ports = listening::addresses(line).into_iter().map(|bound| bound.port).filter(|port| *port >= 80).collect();
        (ports, line.trim().to_owned())
    });
    told.filter(|(ports, _): &(Vec<u16>, String)| !ports.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::monitoring::ContainerLog;
    use serde_json::json;

    fn ports(line: &str) -> Vec<u16> {
        lines(line).into_iter().flat_map(|(ports, _)| ports).collect()
    }

    #[test]
    fn programs_say_where_they_listen() {
        for (line, wanted) in [
            (
                r#"level=info ts=2026-11-21T02:15:00Z caller=server.go:351 msg="server listening on addresses" http=[::]:3200 grpc=[::]:9095"#,
                vec![3200, 9095],
            ),
            (
                r#"ts=2026-11-21T02:15:00Z caller=tls_config.go:274 level=info msg="Listening on" address=[::]:9100"#,
                vec![9100],
            ),
            (r#"I1121 02:53:46.444021       1 main.go:281] Starting TCP socket on [10.132.0.22]:9100"#, vec![]),
            ("2026/11/21 02:53:46 Listening on :8080", vec![8080]),
            (
                "logger=http.server t=2026-11-21T02:53:46Z level=info msg=\"HTTP Server Listen\" address=[::]:3000 protocol=http",
                vec![3000],
            ),
            ("Serving metrics on port 8081", vec![8081]),
            ("listen tcp 0.0.0.0:8889: bind: address already in use, error", vec![]),
            ("serving requests since 02:53:46", vec![]),
        ] {
            assert_eq!(ports(line), wanted, "{line}");
        }
    }

    #[test]
    fn a_probe_asks_where_nobody_listens() {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let log = |text: &str| ContainerLog {
            namespace: "n".into(),
            pod: "p".into(),
            container: "c".into(),
            text: text.into(),
            ..ContainerLog::default()
        };
        *snap.part_logs = Ok(vec![log("msg=\"server listening on addresses\" http=[::]:3200\n")]);
        let pod: Pod = serde_json::from_value(json!({"metadata": {"namespace": "n", "name": "p"}})).expect("a pod");
        let met = |port: u16| {
            format!(
                "Readiness probe failed: Get \"http://10.0.0.1:{port}/ready\": dial tcp 10.0.0.1:{port}: connect: connection refused"
            )
        };
        let found = Elsewhere::of(&snap, &pod, "c", &met(3100)).expect("it listens elsewhere");
        assert_eq!(found.words(), "its log says that it listens on port 3200, and nothing of 3100");
        assert_eq!(Elsewhere::of(&snap, &pod, "c", &met(3200)), None, "it is not ready yet");
        assert_eq!(Elsewhere::of(&snap, &pod, "c", "HTTP probe failed with statuscode: 503"), None);
        assert_eq!(Elsewhere::of(&snap, &pod, "other", &met(3100)), None);
        let declares = |port: u16| -> Pod {
            serde_json::from_value(json!({"metadata": {"namespace": "n", "name": "p"},
                "spec": {"containers": [{"name": "c", "ports": [{"containerPort": port}]}]}}))
            .expect("a pod")
        };
        assert!(Elsewhere::of(&snap, &declares(3100), "c", &met(3100)).is_some());
        assert_eq!(Elsewhere::of(&snap, &declares(3200), "c", &met(8081)), None, "it says nothing of its other port");
    }
}
