//! What lets a datasource lead somewhere, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::grafana::{Grafana, KeptIn};
use crate::domain::grafana::datasources::shown_url;
use crate::domain::grafana::provisioned::Datasource;
use crate::domain::grafana::url::Written;
use crate::domain::kubernetes::proxy;
use crate::domain::kubernetes::service_host::{self, ServiceHost};
use crate::snapshot::Snapshot;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    name: String,
    r#type: String,
    old_url: String,
    new_url: String,
    /// What the datasource is changed for is in its own definition.
    changes: bool,
    /// What answers where all is well: the URL as Grafana asks it, and through the API server.
    check_url: String,
    proxy_path: Option<String>,
    /// A call without the datasource's own login, header or certificate gets that answer.
    is_bare: bool,
    /// Shell command that lists what Grafana has read; where it had not read the datasource.
    listing: Option<String>,
    /// Where the chart keeps the datasource.
    values_key: Option<&'static str>,
    /// The side-car that lets Grafana load the change.
    reloader: Option<String>,
    #[serde(flatten)]
    kept_in: KeptIn,
    #[serde(flatten)]
    grafana: Grafana,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Url {
        host_namespace: String,
    },
    ServiceMissing {
        host_namespace: String,
        host_service: Option<String>,
        /// The chart's value that leaves the datasource out.
        switch: Option<&'static str>,
    },
    NoEndpoints {
        service: String,
        service_namespace: String,
        slice_selector: String,
        /// None where the Service has none.
        selector: Option<String>,
    },
    Agent {
        agent: String,
        agent_namespace: String,
        /// Where it writes to; empty where that was not read.
        writes_to: Vec<String>,
    },
    Refused {
        /// A tenant is asked for.
        tenant: bool,
    },
    Tls {
        host_port: Option<String>,
    },
    Timeout {
        host_namespace: String,
    },
    Proxy {
        /// `NO_PROXY=…` with the host.
        no_proxy: String,
    },
    Unhealthy,
    /// The store answers queries, and does not know the one that Grafana tests it with.
    OldStore {
        /// The image that runs; empty where it is not known.
        image: String,
        store: String,
        store_namespace: String,
        managed_by: String,
    },
    NoData,
    Unread {
        /// Shell command that has Grafana read its files again.
        reload: String,
        /// Shell command that lists the datasources that it has.
        #[serde(skip)]
        listing: String,
        /// A side-car brings the files.
        sidecar: bool,
    },
}

impl Way {
    /// The datasource is changed in its own definition.
    pub(super) fn changes(&self) -> bool {
        matches!(self, Self::Url { .. } | Self::Agent { .. } | Self::ServiceMissing { switch: None, .. })
    }
}

impl Fix {
    pub(super) fn of(datasource: &Datasource<'_>, end: End, way: Way) -> Self {
        let is_bare = !matches!(
            way,
            Way::Refused { .. }
                | Way::Agent { .. }
                | Way::Tls { .. }
                | Way::Proxy { .. }
                | Way::Unread { .. }
                | Way::ServiceMissing { switch: Some(_), .. }
        );
        let path = match way {
            // What Grafana tests it with.
            Way::OldStore { .. } => "/loki/api/v1/query?query=vector(1)%2Bvector(1)",
            _ => probe_path(&datasource.kind),
        };
        let listing = match &way {
            Way::Unread { listing, .. } => Some(listing.clone()),
            _ => None,
        };
        let base = end.url.as_ref().map(|w| w.text().trim_end_matches('/').to_owned());
        let proxy_path = end
            .host
            .zip(end.url.as_ref())
            .map(|(h, w)| proxy::of_service(&h.namespace, &w.scheme, &h.service, w.port, &format!("{}{path}", w.path)));
        Self {
            name: datasource.name.clone(),
            r#type: datasource.kind.clone(),
            old_url: shown_url(&datasource.url),
            new_url: end.new.unwrap_or_else(|| "<url that works>".to_owned()),
            changes: way.changes(),
            check_url: format!("{}{path}", base.as_deref().unwrap_or("<url of the datasource>")),
            proxy_path,
            is_bare,
            listing,
            values_key: values_key(datasource),
            reloader: datasource.file.and_then(|f| f.reloader).map(str::to_owned),
            kept_in: KeptIn::of(datasource.file),
            grafana: Grafana::of(datasource.instance),
            way,
        }
    }
}

/// What a datasource asks, or is to ask.
pub(super) struct End {
    /// The URL that is to stand there, where another is meant.
    new: Option<String>,
    pub(super) url: Option<Written>,
    /// The Service that its host is.
    pub(super) host: Option<ServiceHost>,
}

impl End {
    pub(super) fn of(snap: &Snapshot, datasource: &Datasource<'_>, meant: Option<&Written>) -> Self {
        let url = meant.cloned().or_else(|| Written::parse(&datasource.url));
        let own = datasource.instance.namespace();
        let host = url.as_ref().and_then(|w| service_host::in_cluster(snap, &w.host, own));
        Self { new: meant.map(Written::text), url, host }
    }

    pub(super) fn namespace(&self, datasource: &Datasource<'_>) -> String {
        self.host.as_ref().map_or(datasource.instance.namespace(), |h| h.namespace.as_str()).to_owned()
    }
}

/// The chart that brought a datasource's file.
pub(super) fn chart<'a>(datasource: &Datasource<'a>) -> Option<&'a str> {
    let meta = &datasource.file?.config_map.metadata;
    meta.label("helm.sh/chart").or(meta.label("chart"))
}

/// What a program of this type answers without a login.
fn probe_path(kind: &str) -> &'static str {
    match kind {
        "prometheus" => "/api/v1/query?query=up",
        "alertmanager" => "/api/v2/status",
        "loki" => "/loki/api/v1/labels",
        _ => "/ready",
    }
}

/// Where the charts keep the datasource, so that the change lasts.
fn values_key(datasource: &Datasource<'_>) -> Option<&'static str> {
    let chart = chart(datasource)?;
    match () {
        () if chart.starts_with("kube-prometheus-stack") && datasource.kind == "prometheus" => {
            Some("grafana.sidecar.datasources.url")
        }
        () if chart.starts_with("kube-prometheus-stack") && datasource.kind == "alertmanager" => {
            Some("grafana.sidecar.datasources.alertmanager.url")
        }
        () if chart.starts_with("kube-prometheus-stack") => Some("grafana.additionalDataSources"),
        () if chart.starts_with("loki-stack") => Some("loki.url"),
        () if chart.starts_with("grafana") => Some("datasources"),
        () => None,
    }
}
