//! Why a log store does not take lines, told from its answer or from the error on the way.

use crate::domain::text::send_error::SendFailure;
use crate::text::pattern::pattern;

/// The family of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// No tenant was named.
    Tenant,
    /// The credential is not accepted.
    Credential,
    /// Lines of one stream come in another order than they were written.
    Order,
    /// Lines are older than the store takes at all.
    TooOld,
    /// Lines are of a time that has not come yet: a time of another zone is read as UTC, or a clock is ahead.
    TooNew,
    /// Bytes in a second.
    Rate,
    /// Streams of the tenant.
    Streams,
    /// A line is too long, or a request.
    Size,
    /// Number, length or form of labels.
    Labels,
    /// A stream has no label at all.
    NoLabels,
    /// Structured metadata that the store does not take, or not as much.
    Structured,
    /// The agent's client does not take the store for Elasticsearch.
    Product,
    /// No such path there.
    Path,
    /// An index is read-only, mostly because a disk is full.
    IndexReadOnly,
    /// A field has two types, or there are too many fields.
    Mapping,
    /// Too many shards.
    Shards,
    /// The agent still sends what newer servers do not know: `_type`.
    TypeName,
    /// A name does not resolve.
    Name,
    /// Nobody answers.
    Unreachable,
    /// TLS.
    Tls,
    /// One side speaks TLS, and the other plain text.
    Scheme,
    /// The store fails: 5xx.
    Server,
    /// The agent's own files: positions, too many open files.
    Files,
    /// The node watches no more files for it (inotify); the error speaks of space, and no disk is full.
    Watches,
    /// It may not read the log files of the node.
    Unreadable,
    /// None of the files that it is to read is there for it.
    NoFiles,
    /// Its AWS identity may not write there.
    Denied,
    /// The API server does not tell it which pod a line is from.
    Metadata,
    /// The store is there and takes no more for now: its queues or its memory are full.
    Overload,
    /// It reads faster than it can send: its input pauses again and again.
    Paused,
    /// AWS takes requests without a signature from nobody.
    Unsigned,
    /// The log group does not exist, and the agent makes none.
    Group,
    /// AWS takes no more requests in a second.
    Throttled,
    /// The kubelet does not tell it which pod a line is from.
    Kubelet,
    /// An answer is larger than what the agent reads of one: mostly what the API server tells of a pod.
    Buffer,
    /// Its configuration names a parser that it does not know.
    Parser,
    /// It does not take its new configuration, and goes on with the one before.
    Reload,
    /// Lines are refused, and the log does not say why.
    Refused,
    /// Chunks are not taken, and the log does not say why.
    Unsaid,
}

/// How a document does not fit the mapping of its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit<'a> {
    /// The field has fields of its own there: `app` beside `app.kubernetes.io/name`.
    Object(&'a str),
    /// The field has another type there.
    Type { field: &'a str, of: &'a str },
    /// There are too many fields.
    Total(&'a str),
}

/// How it does not fit, where the search engine says so.
pub(crate) fn misfit(text: &str) -> Option<Misfit<'_>> {
    let object = pattern!(r"object mapping for \[([^\]]+)\] tried to parse");
    let of_type = pattern!(r"failed to parse field \[([^\]]+)\] of type \[(\w+)\]");
    let total = pattern!(r"Limit of total fields \[(\d+)\]");
    if let Some(c) = object.captures(text) {
        return c.get(1).map(|m| Misfit::Object(m.as_str()));
    }
    if let Some(c) = of_type.captures(text) {
        return c.get(1).zip(c.get(2)).map(|(field, of)| Misfit::Type { field: field.as_str(), of: of.as_str() });
    }
    total.captures(text)?.get(1).map(|m| Misfit::Total(m.as_str()))
}

/// How a port of TLS answers plain text: nginx, Go's servers, Apache, Elasticsearch.
const WANTS_TLS: &[&str] = &[
    "plain HTTP request was sent to HTTPS port",
    "HTTP request to an HTTPS server",
    "speaking plain HTTP to an SSL-enabled server port",
    "plaintext http traffic on an https channel",
];

/// What clients say where they begin TLS with a port of plain text: Go, OpenSSL.
const WANTS_PLAIN: &[&str] = &[
    "server gave HTTP response to HTTPS client",
    "first record does not look like a TLS handshake",
    "wrong version number",
];

/// The port that answered speaks TLS, and plain text was sent.
pub(crate) fn wants_tls(text: &str) -> bool {
    WANTS_TLS.iter().any(|w| text.contains(w))
}

/// Words, in the order in which they are looked for.
const WORDS: &[(Cause, &[&str])] = &[
    (Cause::Tenant, &["no org id", "no tenant id"]),
    (Cause::Scheme, WANTS_TLS),
    (Cause::Scheme, WANTS_PLAIN),
    (
        Cause::Watches,
        &[
            "tail_fs_inotify.c",
            "could not register file into fs_events",
            "inotify instances",
            "failed to make file target manager",
        ],
    ),
    (Cause::Unsigned, &["User: anonymous is not authorized"]),
    (Cause::Group, &["The specified log group does not exist", "specified log group does not exist"]),
    (Cause::Throttled, &["ThrottlingException"]),
    (Cause::Parser, &["' is not registered"]),
    (
        Cause::Denied,
        &[
            "AccessDeniedException",
            "is not authorized to perform",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
        ],
    ),
    (Cause::Order, &["too far behind", "out of order", "out-of-order"]),
    (Cause::TooOld, &["timestamp too old", "greater_than_max_sample_age", "has timestamp too old"]),
    (Cause::TooNew, &["has timestamp too new", "timestamp too new", "too_far_in_future"]),
    (Cause::Structured, &["structured metadata"]),
    (
        Cause::Product,
        &[
            "not Elasticsearch and we do not support",
            "not a supported distribution of Elasticsearch",
            "is not compatible for your Elasticsearch server",
            "UnsupportedProductError",
        ],
    ),
    (Cause::Streams, &["active stream limit", "streams limit", "per_stream_rate_limit", "Per stream rate limit"]),
    (Cause::Rate, &["ngestion rate limit", "rate limit exceeded"]),
    (
        Cause::Size,
        &["max entry size", "Max entry size", "line too long", "line_too_long", "received message larger than max"],
    ),
    (Cause::NoLabels, &["at least one label pair"]),
    (
        Cause::Labels,
        &[
            "label names; limit",
            "max_label_names_per_series",
            "label value too long",
            "error parsing labels",
            "couldn't parse labels",
        ],
    ),
    (
        Cause::IndexReadOnly,
        &[
            "index read-only",
            "read-only-allow-delete",
            "FORBIDDEN/12",
            "flood stage",
            "flood-stage",
            "index_create_block",
        ],
    ),
    (
        Cause::Overload,
        &["es_rejected_execution_exception", "circuit_breaking_exception", "rejected execution of", "Data too large"],
    ),
    (Cause::Shards, &["maximum shards open", "maximum normal shards open"]),
    (Cause::TypeName, &["unknown parameter [_type]", "[types removal]"]),
    (
        Cause::Mapping,
        &[
            "mapper_parsing_exception",
            "document_parsing_exception",
            "illegal_argument_exception: Limit of total fields",
            "Limit of total fields",
        ],
    ),
    (Cause::Credential, &["security_exception", "missing authentication credentials", "unable to authenticate user"]),
    (
        Cause::Files,
        &[
            "too many open files",
            "no space left on device for positions",
            "error writing positions file",
            "Unable to write positions",
            "inotify_add_watch",
        ],
    ),
    (Cause::Unreadable, &["permission denied", "Permission denied"]),
    (Cause::Name, &["Domain name not found", "getaddrinfo", "no such host", "Name or service not known"]),
    (Cause::Tls, &["certificate verify failed", "x509:", "SSL_connect", "tls: "]),
    (
        Cause::Unreachable,
        &[
            "Connection refused",
            "connection refused",
            "timed out",
            "i/o timeout",
            "context deadline exceeded",
            "no route to host",
            "no upstream connections available",
            "TCP connection failed",
            "connection reset",
            "Connection reset",
            "network is unreachable",
            "timeout reached",
            "Can not reach Elasticsearch cluster",
        ],
    ),
    (
        Cause::Paused,
        &[
            "paused (mem buf overlimit",
            "paused (storage buf overlimit",
            "BufferOverflowError",
            "buffer space has too many data",
            "by buffer overflow action",
        ],
    ),
    (Cause::Unsaid, &["failed to flush chunk"]),
];

impl Cause {
    /// Reads a text with an answer or an error.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let said = WORDS.iter().find(|(_, words)| words.iter().any(|w| text.contains(w))).map(|(reason, _)| *reason);
        let status = status(text);
        match (said, status) {
            // A proxy's own page of a 5xx says nothing of the lines.
            // A bulk request is answered 200, with the errors of its documents in the body.
            (Some(reason), None | Some(200..=299 | 400..=499)) => Some(reason),
            (_, Some(401 | 403)) => Some(Self::Credential),
            (_, Some(404 | 405)) => Some(Self::Path),
            (_, Some(413)) => Some(Self::Size),
            (_, Some(429)) => Some(Self::Rate),
            (_, Some(500..=599)) => Some(Self::Server),
            (None, Some(400 | 422)) => Some(Self::Refused),
            _ => None,
        }
    }

    /// Nothing gets through, where else single lines do not.
    pub(crate) fn stops_all(self) -> bool {
        matches!(
            self,
            Self::Tenant
                | Self::Credential
                | Self::Path
                | Self::Name
                | Self::Unreachable
                | Self::Tls
                | Self::Scheme
                | Self::Server
                | Self::IndexReadOnly
                | Self::TypeName
                | Self::Product
                | Self::Denied
                | Self::Unsigned
                | Self::Group
                | Self::NoFiles
        )
    }

    /// What the store refuses are single lines, for what they are.
    pub(crate) fn is_of_lines(self) -> bool {
        matches!(
            self,
            Self::Order | Self::TooOld | Self::TooNew | Self::Size | Self::Labels | Self::NoLabels | Self::Structured
        )
    }

    /// Said once, and so until the agent is started or told again.
    pub(crate) fn is_of_start(self) -> bool {
        matches!(self, Self::Parser | Self::Reload)
    }
}

/// The status of an answer: of Go's clients, of Fluent Bit's `HTTP status=400`, of Fluentd's `(401 Unauthorized …)`.
pub(crate) fn status(text: &str) -> Option<u16> {
    if let Some(code) = SendFailure::classify(text).status() {
        return Some(code);
    }
    let at = [
        "HTTP status=",
        "ServerError { code: ",
        "Server responded with an error: ",
        "non-successful status returned: ",
        "http_status=",
        "status=",
        "[",
        "(",
    ]
    .iter();
    at.filter_map(|mark| text.split_once(mark)).find_map(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|code| digits.len() == 3 && (400..600).contains(code))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_answers_and_errors_of_every_agent() {
        for (text, reason) in [
            ("server returned HTTP status 401 Unauthorized (401): no org id", Some(Cause::Tenant)),
            (
                "server returned HTTP status 400 Bad Request (400): entry with timestamp 2024-01-18 ignored, reason: 'entry too far behind, oldest acceptable timestamp is: x',",
                Some(Cause::Order),
            ),
            (
                "loki:3100, HTTP status=400 Not retrying. entry for stream '{}' has timestamp too old",
                Some(Cause::TooOld),
            ),
            (
                "loki:3100, HTTP status=400 Not retrying. entry for stream '{job=\"a\"}' has timestamp too new: 2026-11-21 13:48:03 +0000 UTC",
                Some(Cause::TooNew),
            ),
            (
                "[output:loki:loki.0] loki.logging.svc:3100, HTTP status=400 Not retrying. error at least one label pair is required per stream",
                Some(Cause::NoLabels),
            ),
            (
                "loki.logging.svc:3100, HTTP status=400 error parsing labels: parse error at line 1, col 50: syntax error: unexpected ., expecting = or =~ or !~ or !=",
                Some(Cause::Labels),
            ),
            (
                "server returned HTTP status 400 Bad Request (400): stream '{app=\"x\"}' includes structured metadata, but this feature is disallowed. Please see `limits_config.allow_structured_metadata`",
                Some(Cause::Structured),
            ),
            (
                "could not push logs to Elasticsearch cluster ({:host=>\"opensearch\"}): The client noticed that the server is not Elasticsearch and we do not support this unknown product.",
                Some(Cause::Product),
            ),
            (
                "server returned HTTP status 429 Too Many Requests (429): Ingestion rate limit exceeded for user fake",
                Some(Cause::Rate),
            ),
            (
                "server returned HTTP status 429 Too Many Requests (429): Maximum active stream limit exceeded",
                Some(Cause::Streams),
            ),
            ("loki-gateway:80, HTTP status=502", Some(Cause::Server)),
            ("loki-gateway:80, HTTP status=404", Some(Cause::Path)),
            ("HTTP status=401 URI=/_bulk, response:", Some(Cause::Credential)),
            ("[net] getaddrinfo(host='elasticsearch', err=4): Domain name not found", Some(Cause::Name)),
            ("connection #52 to tcp://10.0.0.1:9200 timed out after 10 seconds", Some(Cause::Unreachable)),
            (
                "could not push logs to Elasticsearch cluster: [429] FORBIDDEN/12/index read-only / allow delete (api)",
                Some(Cause::IndexReadOnly),
            ),
            (
                "[output:es:es.0] HTTP status=200 URI=/_bulk, response: {\"errors\":true,\"items\":[{\"create\":{\"status\":429,\"error\":{\"type\":\"cluster_block_exception\",\"reason\":\"disk usage exceeded flood-stage watermark, index has read-only-allow-delete block\"}}}]}",
                Some(Cause::IndexReadOnly),
            ),
            (
                "could not push logs to Elasticsearch cluster ({:host=>\"es\"}): read timeout reached",
                Some(Cause::Unreachable),
            ),
            ("[engine] failed to flush chunk '1-1.flb', retry in 11 seconds: output=es.0", Some(Cause::Unsaid)),
            ("failed to POST http://loki/loki/api/v1/push (401 Unauthorized no org id)", Some(Cause::Tenant)),
            (
                "[/src/fluent-bit/plugins/in_tail/tail_fs_inotify.c:360 errno=28] No space left on device",
                Some(Cause::Watches),
            ),
            (
                "[output:cloudwatch_logs:cloudwatch_logs.0] CreateLogStream API responded with error='AccessDeniedException'",
                Some(Cause::Denied),
            ),
            ("failed to start tailer: open /var/log/pods/a/b/0.log: permission denied", Some(Cause::Unreadable)),
            (
                "vector_common::internal_event::service: Service call failed. No retries or retries exhausted. error=Some(ServerError { code: 429 }) request_id=244",
                Some(Cause::Rate),
            ),
            (
                "vector::sinks::util::retries: Non-retriable error; dropping the request. error=Server responded with an error: 400 Bad Request",
                Some(Cause::Refused),
            ),
            (
                "[output:es:es.0] HTTP status=403 URI=/_bulk, response: {\"Message\":\"User: anonymous is not authorized to perform: es:ESHttpPost\"}",
                Some(Cause::Unsigned),
            ),
            (
                "[output:cloudwatch_logs:cloudwatch_logs.0] CreateLogStream API responded with error='ResourceNotFoundException', message='The specified log group does not exist.'",
                Some(Cause::Group),
            ),
            (
                "[output:cloudwatch_logs:cloudwatch_logs.0] PutLogEvents API responded with error='ThrottlingException', message='Rate exceeded'",
                Some(Cause::Throttled),
            ),
            ("[input:tail:tail.0] parser 'cri_custom' is not registered", Some(Cause::Parser)),
            (
                "[output:opensearch:opensearch.0] HTTP status=400 URI=/_bulk, response: <html> <head><title>400 The plain HTTP request was sent to HTTPS port</title></head>",
                Some(Cause::Scheme),
            ),
            (
                "could not push logs to Elasticsearch cluster ({:host=>\"es\"}): SSL_connect returned=1 errno=0 state=error: wrong version number",
                Some(Cause::Scheme),
            ),
            (
                "error sending batch, will retry: Post \"https://loki:3100/loki/api/v1/push\": http: server gave HTTP response to HTTPS client",
                Some(Cause::Scheme),
            ),
            ("something went well", None),
        ] {
            assert_eq!(Cause::of(text), reason, "{text}");
        }
    }
}
