//! The ways to mend a job that Prometheus fails to scrape, with what their commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::scrape::target_down::joined::{Asks, Bound, Past};
use crate::checks::support::authorizer::Authorizer;
use crate::checks::support::origin::ChangeJob;
use crate::model::Placeholder;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    BadLine {
        error: String,
        #[serde(flatten)]
        answer: Answer,
    },
    CertificateAuthority {
        host_port: Option<String>,
        #[serde(flatten)]
        edit: Edit,
    },
    CertificateClient {
        host_port: Option<String>,
        #[serde(flatten)]
        edit: Edit,
    },
    CertificateExpired {
        host_port: Option<String>,
        reader_namespace: String,
        #[serde(flatten)]
        logged: Logged,
    },
    CertificateName {
        host_port: Option<String>,
        #[serde(flatten)]
        edit: Edit,
    },
    CredentialRefused {
        guard: Option<&'static str>,
        configz_path: Option<String>,
        monitor_kind: Option<&'static str>,
        monitor: Option<String>,
        monitor_namespace: Option<String>,
        config_map: Option<String>,
        config_namespace: Option<String>,
    },
    KubeProxy {
        proxy_map: String,
    },
    Localhost {
        namespace: Option<String>,
        pod: Option<String>,
        #[serde(flatten)]
        bound: Bound,
    },
    Mesh {
        namespace: Option<String>,
        #[serde(flatten)]
        past: Past,
    },
    ControlPlane {
        release: Placeholder,
        release_namespace: Placeholder,
        chart_version: Placeholder,
    },
    Credentials {
        error: String,
        file: Option<String>,
        reader: String,
        reader_namespace: String,
    },
    Dns {
        reader_namespace: String,
    },
    Forbidden {
        #[serde(flatten)]
        authorizer: Authorizer,
    },
    /// The job has more targets than it may have: all of them are left out.
    TargetLimit {
        targets: u64,
        limit_field: String,
        new_limit: u64,
        job: String,
        #[serde(flatten)]
        change: ChangeJob,
    },
    Limits {
        error: String,
        answer_path: Option<String>,
        limit: Option<&'static str>,
        limit_field: String,
        /// Room for a fifth more than what it offers.
        new_limit: Option<u64>,
        job: String,
        #[serde(flatten)]
        change: ChangeJob,
    },
    Protobuf {
        error: String,
        job: String,
        namespace: Option<String>,
        /// What answers.
        workload: Option<String>,
        #[serde(flatten)]
        change: ChangeJob,
    },
    NoRoute {
        host: Option<String>,
        port: Option<u16>,
        /// The node that is gone, and the Service whose Endpoints still name it.
        gone_node: Option<String>,
        listed_in: Option<String>,
        listed_namespace: Option<String>,
        /// The operator that writes these Endpoints, and its namespace.
        writer: Option<String>,
        writer_namespace: Option<String>,
    },
    NoSuchHost {
        host: Option<String>,
        service: Option<String>,
        service_exists: Option<bool>,
        namespace: Option<String>,
        reader_namespace: String,
    },
    NotFound {
        path: Option<String>,
        #[serde(flatten)]
        logged: Logged,
        #[serde(flatten)]
        edit: Edit,
    },
    NotHttp {
        url: String,
        service: Option<String>,
        service_exists: Option<bool>,
        namespace: Option<String>,
        #[serde(flatten)]
        edit: Edit,
    },
    NotMetrics {
        #[serde(flatten)]
        answer: Answer,
    },
    Other {
        error: String,
        #[serde(flatten)]
        answer: Answer,
        #[serde(flatten)]
        logged: Logged,
    },
    Redirect {
        redirected_to: Option<String>,
        final_scheme: String,
        final_path: String,
        /// Host and port, where they are others.
        final_target: Option<String>,
        #[serde(flatten)]
        asked: Asked,
        #[serde(flatten)]
        logged: Logged,
        #[serde(flatten)]
        edit: Edit,
    },
    /// Nothing speaks TLS where the redirect to https leads.
    RedirectWithoutTls {
        redirected_to: String,
        path: String,
        #[serde(flatten)]
        asked: Asked,
        #[serde(flatten)]
        logged: Logged,
    },
    /// Kubelets answer at another port, and to whom they know.
    ReadOnlyPort {
        #[serde(flatten)]
        edit: Edit,
    },
    Refused {
        host: Option<String>,
        port: Option<u16>,
        node: Option<String>,
        service: Option<String>,
        service_exists: Option<bool>,
        slice_selector: Option<String>,
        #[serde(flatten)]
        logged: Logged,
    },
    Reset {
        #[serde(flatten)]
        logged: Logged,
    },
    Review {
        namespace: Option<String>,
        #[serde(flatten)]
        asks: Asks,
    },
    Scheme {
        scheme: Option<String>,
        right_scheme: &'static str,
        #[serde(flatten)]
        edit: Edit,
    },
    ServerError {
        #[serde(flatten)]
        answer: Answer,
        #[serde(flatten)]
        logged: Logged,
    },
    Status {
        /// It is asked to ask a device by SNMP, and does not know how.
        snmp: bool,
        #[serde(flatten)]
        answer: Answer,
    },
    Timeout {
        timeout: String,
        answer_path: Option<String>,
        namespace: Option<String>,
        reader_namespace: String,
        /// Kinds of policies that other plugins have, as kubectl takes them.
        other_policies: Option<String>,
        /// `--probe` was given.
        probed: bool,
        port: Option<u16>,
        /// It is asked for series of another Prometheus.
        federates: bool,
        job: String,
        monitor: Option<String>,
        monitor_list: Option<&'static str>,
    },
    Tls {
        host_port: Option<String>,
        #[serde(flatten)]
        edit: Edit,
    },
    Unauthorized {
        guard: Option<&'static str>,
        #[serde(flatten)]
        edit: Edit,
    },
}

/// What answers at the URL.
#[derive(Serialize, JsonSchema)]
pub(super) struct Answer {
    pub(super) answer_path: Option<String>,
    pub(super) url: String,
}

/// Where a redirect is seen: `kubectl get --raw` would follow it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Asked {
    pub(super) url: String,
    /// Local and remote port of a port-forward to the pod, and the URL behind it.
    pub(super) forward: Option<String>,
    pub(super) local_url: String,
}

/// Whose log says more.
#[derive(Serialize, JsonSchema)]
pub(super) struct Logged {
    pub(super) namespace: Option<String>,
    pub(super) workload: Option<String>,
    pub(super) pod: Option<String>,
}

/// Lines of the job, and where they are written.
#[derive(Serialize, JsonSchema)]
pub(super) struct Edit {
    pub(super) job: String,
    pub(super) monitor_list: Option<&'static str>,
    #[serde(flatten)]
    pub(super) change: ChangeJob,
}
