//! Errors that are none of the program that writes them, or that pass by themselves.

/// Errors from which on two controllers fight over an object, and do not merely meet.
const FIGHT: usize = 10;

/// True for what whoever asked brought about: they went before the answer came, asked for what cannot be read, or changed
/// an object at the same time; and for the end of a watch, which is opened again.
pub(crate) fn is_of_the_asker(text: &str, count: usize) -> bool {
    let has = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
    let end = text.trim_end_matches(['"', '\'', ')', ']', '}', '.', ' ', '\n']);
    let gone = ["EOF", "connection reset by peer", "i/o timeout", "broken pipe"];
    end.ends_with("context canceled")
        || has(&["http: TLS handshake error from"]) && gone.iter().any(|g| end.ends_with(g))
        || has(&["sending metric family", "rite metrics"]) && has(&["broken pipe", "connection reset by peer"])
        // An API whose list of kinds is empty: client-go calls it an error, and has none to show.
        || has(&["couldn't get resource list for"]) && end.ends_with("<nil>")
        // The prober opens another kind of socket then; where that fails, too, it says so by itself.
        || has(&["will attempt privileged"])
        // A page that is closed ends what it still loads.
        || end.ends_with("net::ERR_ABORTED")
        || has(&["superfluous response.WriteHeader", "websocket: close 1"])
        || has(&["bad_data"]) && has(&["parse error"]) && count < FIGHT
        // The policy went while the agent of the VPC CNI looked at it.
        || has(&["Unable to get policyendpoint spec"]) && has(&["not found"])
        || has(&["the object has been modified"]) && count < FIGHT
        // The kubelet closes what was read for long, and the agent opens it again.
        || has(&["tailer stopped; will retry"]) && has(&["response body closed"])
        || is_end_of_watch(text)
}

/// The API server ends each watch some time, and what was seen last may be too old to go on from.
fn is_end_of_watch(text: &str) -> bool {
    let ends = [
        "too old resource version",
        "unable to decode an event from the watch stream",
        "very short watch",
        "watch channel closed",
        "InvalidChunkLength",
    ];
    ends.iter().any(|e| text.contains(e))
}

/// True for a call over the network that failed and that its program makes again within minutes.
pub(crate) fn is_tried_again(text: &str) -> bool {
    let words = [
        "connection refused",
        "connection reset",
        "broken connection",
        "broken pipe",
        "i/o timeout",
        "TLS handshake timeout",
        "deadline exceeded",
        "Client.Timeout",
        "timed out",
        "EOF",
        "code = Unavailable",
        "code = Aborted",
        "Service Unavailable",
        "Bad Gateway",
        "Gateway Timeout",
        "Internal Server Error",
        "already in progress",
        "too far behind",
        "timestamp too old",
        "hrottl",
        "Rate exceeded",
        "SlowDown",
        "Too Many Requests",
        "too many requests",
    ];
    words.iter().any(|w| text.contains(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_asker_did_is_no_fault() {
        for text in [
            "Error processing query: context canceled",
            "error contacting scheduler: rpc error: code = Canceled desc = context canceled\"",
            "http: TLS handshake error from 10.0.0.10:43882: EOF",
            "error encoding and sending metric family: write tcp 10.0.1.2:9100->10.0.1.3:42718: write: broken pipe",
            "Error received from Prometheus: bad_data: invalid parameter \"query\": 1:5: parse error: unexpected identifier",
            "logging before flag.Parse: E1121 02:52:40.871589 11 memcache.go:147] couldn't get resource list for external.metrics.k8s.io/v1beta1: <nil>",
            "Operation cannot be fulfilled on statefulsets.apps \"a\": the object has been modified; please apply your changes to the latest version and try again",
            "tailer stopped; will retry: http2: response body closed",
            "Unable to do unprivileged listen on socket, will attempt privileged: socket: permission denied",
            "ApiException when calling kubernetes: (410) Reason: Expired: too old resource version: 1123 (4456)",
        ] {
            assert!(is_of_the_asker(text, 1), "{text}");
        }
        for text in [
            "http: TLS handshake error from 10.0.0.10:43882: remote error: tls: bad certificate",
            "Post \"http://vm:8428/api/v1/write\": write: broken pipe",
            "context canceled while the ring was unhealthy: too many unhealthy instances",
            "Error listening to socket: listen ip4:icmp 0.0.0.0: socket: operation not permitted",
            "tailer stopped; will retry: pods \"web-0\" is forbidden",
        ] {
            assert!(!is_of_the_asker(text, 1), "{text}");
        }
        assert!(!is_of_the_asker("the object has been modified", 40), "they fight");
    }

    #[test]
    fn calls_are_made_again() {
        assert!(is_tried_again("dial tcp 172.20.0.1:443: connect: connection refused"));
        assert!(!is_tried_again("compaction failed: invalid block"));
    }
}
