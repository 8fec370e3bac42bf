//! The ways in which a target fails.

/// In which way a target fails: each way has a fix of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    BadLine,
    Certificate(Certificate),
    ControlPlane,
    CredentialRefused,
    Credentials,
    Dns,
    Forbidden,
    KubeProxy,
    Limits,
    Localhost,
    Mesh,
    NoRoute,
    NoSuchHost,
    NotFound,
    NotHttp,
    NotMetrics,
    Other,
    Protobuf,
    ReadOnlyPort,
    Redirect,
    Refused,
    Reset,
    Review,
    Scheme,
    ServerError,
    Status,
    Timeout,
    Tls,
    Unauthorized,
}

/// What of a certificate is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certificate {
    Authority,
    Client,
    Expired,
    Name,
}
