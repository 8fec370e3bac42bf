//! The fixes of a job that Prometheus fails to scrape.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::scrape::target_down::cause::{Cause, Certificate};
use crate::checks::scrape::target_down::family::{
    Family, asks_snmp, camel_case, gone_node, limit_name, offered, scheme_spoken,
};
use crate::checks::scrape::target_down::joined::{Asks, Bound, Past, proxy_map};
use crate::checks::scrape::target_down::way::{Answer, Asked, Edit, Logged, Way};
use crate::checks::support::authorizer::Authorizer;
use crate::checks::support::origin::ChangeJob;
use crate::checks::support::scrape::Targets;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::network_plugin;
use crate::domain::kubernetes::proxy;
use crate::domain::prometheus::joined::samples_offered;
use crate::domain::prometheus::operator::deployment::{Operator, operators};
use crate::domain::prometheus::origin;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::domain::text::between::between;
use crate::model::Placeholder;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::annotation;

/// How it is verified, and one way to fix it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    #[serde(flatten)]
    targets: Targets,
    interval: String,
    #[serde(flatten)]
    way: Way,
}

impl Fix {
    /// What fixes a family of failures.
    pub(super) fn of(snap: &Snapshot, family: &Family<'_>) -> Self {
        let site = Site { snap, family, down: family.group[0], change: ChangeJob::of(snap, family.job) };
        Self {
            targets: Targets::of(snap, Some(family.job)),
            interval: site.down.target.scrape_interval.clone(),
            way: site.way(),
        }
    }
}

/// The first target of a family, and what is known of it.
struct Site<'a> {
    snap: &'a Snapshot,
    family: &'a Family<'a>,
    down: &'a Down<'a>,
    change: ChangeJob,
}

impl Site<'_> {
    fn way(self) -> Way {
        let error = self.down.target.last_error.clone();
        let reader_namespace = self.change.place.line.reader_namespace.clone();
        match self.family.kind {
            Cause::BadLine => Way::BadLine { error, answer: self.answer() },
            Cause::Certificate(which) => self.certificate(which),
            Cause::ControlPlane => self.control_plane(),
            Cause::CredentialRefused => self.credential_refused(),
            Cause::KubeProxy => Way::KubeProxy { proxy_map: proxy_map(self.snap, self.down) },
            Cause::Localhost => Way::Localhost {
                namespace: self.namespace(),
                pod: self.pod().map(|(_, name)| name),
                bound: Bound::of(self.snap, self.down),
            },
            Cause::Mesh => Way::Mesh { namespace: self.namespace(), past: Past::of(self.snap, self.down) },
            Cause::Credentials => Way::Credentials {
                file: between(&error, "open ", ": ").map(str::to_owned),
                error,
                reader: self.change.place.line.reader.clone(),
                reader_namespace,
            },
            Cause::Dns => Way::Dns { reader_namespace },
            Cause::Forbidden => {
                Way::Forbidden { authorizer: Authorizer::of(self.snap, self.down.target, self.address()) }
            }
            Cause::Limits => self.limits(error),
            Cause::NoRoute => self.no_route(),
            Cause::NoSuchHost => Way::NoSuchHost {
                host: self.host(),
                service_exists: self.service_exists(),
                namespace: self.namespace(),
                service: self.service().map(|(_, name)| name),
                reader_namespace,
            },
            Cause::NotFound => Way::NotFound { path: self.path(), logged: self.logged(), edit: self.edit() },
            Cause::NotHttp => Way::NotHttp {
                url: self.down.target.scrape_url.clone(),
                service_exists: self.service_exists(),
                namespace: self.namespace(),
                service: self.service().map(|(_, name)| name),
                edit: self.edit(),
            },
            Cause::NotMetrics => Way::NotMetrics { answer: self.answer() },
            Cause::Protobuf => {
                let Logged { namespace, workload, .. } = self.logged();
                Way::Protobuf { error, job: self.family.job.to_owned(), namespace, workload, change: self.change }
            }
            Cause::Other => Way::Other { error, answer: self.answer(), logged: self.logged() },
            Cause::ReadOnlyPort => Way::ReadOnlyPort { edit: self.edit() },
            Cause::Redirect => self.redirect(),
            Cause::Refused => self.refused(),
            Cause::Reset => Way::Reset { logged: self.logged() },
            Cause::Review => Way::Review { namespace: self.namespace(), asks: Asks::of(self.snap, self.down) },
            Cause::Scheme => Way::Scheme {
                scheme: self.address().map(|a| a.scheme.clone()),
                right_scheme: if self.address().is_some_and(|a| a.scheme == "https") { "http" } else { "https" },
                edit: self.edit(),
            },
            Cause::ServerError => Way::ServerError { answer: self.answer(), logged: self.logged() },
            Cause::Status => Way::Status { snmp: asks_snmp(self.down), answer: self.answer() },
            Cause::Timeout => self.timeout(reader_namespace),
            Cause::Tls => Way::Tls { host_port: self.host_port(), edit: self.edit() },
            Cause::Unauthorized => Way::Unauthorized {
                guard: Authorizer::of(self.snap, self.down.target, self.address()).guard,
                edit: self.edit(),
            },
        }
    }

    fn certificate(self, which: Certificate) -> Way {
        let host_port = self.host_port();
        match which {
            Certificate::Authority => Way::CertificateAuthority { host_port, edit: self.edit() },
            Certificate::Client => Way::CertificateClient { host_port, edit: self.edit() },
            Certificate::Expired => Way::CertificateExpired {
                host_port,
                logged: self.logged(),
                reader_namespace: self.change.place.line.reader_namespace,
            },
            Certificate::Name => Way::CertificateName { host_port, edit: self.edit() },
        }
    }

    fn credential_refused(self) -> Way {
        let node = self.address().and_then(|a| targets::node_of(self.down.target, a));
        Way::CredentialRefused {
            guard: Authorizer::of(self.snap, self.down.target, self.address()).guard,
            configz_path: node.map(|n| proxy::of_node(&n, "/configz")),
            monitor_kind: self.change.place.monitor_kind,
            monitor: self.change.place.monitor,
            monitor_namespace: self.change.place.monitor_namespace,
            config_map: self.change.place.line.config_map,
            config_namespace: self.change.place.line.config_namespace,
        }
    }

    fn limits(self, error: String) -> Way {
        let limit = limit_name(&error);
        if let Some(targets) = offered(&error).filter(|_| limit == Some("target_limit")) {
            return Way::TargetLimit {
                targets,
                limit_field: camel_case("target_limit"),
                new_limit: (targets.saturating_mul(6) / 5).div_ceil(10).saturating_mul(10),
                job: self.family.job.to_owned(),
                // A field of the monitor, and not of its endpoints.
                change: ChangeJob { monitor_endpoint: None, ..self.change },
            };
        }
        // What the error names, in whole tens; samples in whole hundreds.
        let of_samples =
            || samples_offered(self.snap, self.down).map(|(offered, _)| (offered * 6 / 5).div_ceil(100) * 100);
        let new_limit = match limit {
            Some("sample_limit") | None => of_samples(),
            _ => offered(&error).map(|offered| (offered * 6 / 5).div_ceil(10) * 10),
        };
        Way::Limits {
            answer_path: self.answer().answer_path,
            limit,
            new_limit,
            limit_field: camel_case(limit.unwrap_or("<limit>")),
            job: self.family.job.to_owned(),
            change: self.change,
            error,
        }
    }

    /// Where a redirect leads, and what of the job must change to scrape there.
    fn redirect(self) -> Way {
        let to = self.down.redirected_to();
        if let Some(redirected_to) = to.clone().filter(|_| scheme_spoken(&self.down.target.last_error) == Some("http"))
        {
            return Way::RedirectWithoutTls {
                redirected_to,
                path: self.path().unwrap_or_else(|| "/metrics".to_owned()),
                asked: self.asked(),
                logged: self.logged(),
            };
        }
        let there = to.as_deref().and_then(Address::parse);
        let same_place = there
            .as_ref()
            .zip(self.address())
            .is_some_and(|(there, own)| (&there.host, there.port) == (&own.host, own.port));
        let of = |part: fn(&Address) -> &str, unknown: &str| there.as_ref().map_or(unknown, part).to_owned();
        Way::Redirect {
            final_scheme: of(|a| a.scheme.as_str(), "<scheme of the final URL>"),
            final_path: of(Address::bare_path, "<path of the final URL>"),
            final_target: there.as_ref().filter(|_| !same_place).map(Address::host_port),
            redirected_to: to,
            asked: self.asked(),
            logged: self.logged(),
            edit: self.edit(),
        }
    }

    fn refused(self) -> Way {
        let service = self.service().map(|(_, name)| name);
        Way::Refused {
            host: self.host(),
            port: self.port(),
            node: self.address().and_then(|a| targets::node_of(self.down.target, a)),
            service_exists: self.service_exists(),
            slice_selector: service.as_ref().map(|name| format!("kubernetes.io/service-name={name}")),
            service,
            logged: self.logged(),
        }
    }

    fn timeout(self, reader_namespace: String) -> Way {
        Way::Timeout {
            timeout: self.down.target.scrape_timeout.clone(),
            answer_path: self.answer().answer_path,
            namespace: self.namespace(),
            reader_namespace,
            other_policies: network_plugin::other_policies(self.snap),
            probed: self.snap.probes().is_ok(),
            port: self.port(),
            federates: self.down.target.scrape_url.split('?').next().is_some_and(|u| u.ends_with("/federate")),
            job: self.family.job.to_owned(),
            monitor_list: self.monitor_list(),
            monitor: self.change.place.monitor,
        }
    }

    /// The Helm release that Prometheus' Service belongs to.
    fn control_plane(self) -> Way {
        let component = self.snap.scope.prometheus.as_ref();
        let service = component.and_then(|c| self.snap.services.find(&c.namespace, &c.service).ok().flatten());
        let value = |name: &str| service.and_then(|s| s.metadata.annotations.get(name)).cloned();
        let chart = service.and_then(|s| s.metadata.label("helm.sh/chart"));
        let version = chart.and_then(|c| c.strip_prefix("kube-prometheus-stack-"));
        let namespace = value(annotation::HELM_NAMESPACE).or(component.map(|c| c.namespace.clone()));
        Way::ControlPlane {
            release: Placeholder::new("release").candidates(value(annotation::HELM_RELEASE)),
            release_namespace: Placeholder::new("namespace").candidates(namespace),
            chart_version: Placeholder::new("installed chart version").candidates(version),
        }
    }

    fn edit(self) -> Edit {
        Edit { job: self.family.job.to_owned(), monitor_list: self.monitor_list(), change: self.change }
    }

    fn monitor_list(&self) -> Option<&'static str> {
        origin::monitor_of(self.family.job).and_then(|m| m.list())
    }

    fn address(&self) -> Option<&Address> {
        self.down.address.as_ref()
    }

    /// Nobody answers at the address, or nobody has it any more.
    fn no_route(&self) -> Way {
        let gone_node = gone_node(self.snap, self.down);
        let listed = self.service().filter(|_| gone_node.is_some());
        // `--kubelet-service=kube-system/stack-kubelet`: the operator writes the nodes into it.
        let all = operators(self.snap);
        let writes = |o: &&Operator<'_>| {
            let own = arguments::flag(o.container, "kubelet-service").and_then(|s| s.split_once('/'));
            listed.as_ref().is_some_and(|(namespace, name)| own == Some((namespace.as_str(), name.as_str())))
        };
        let writer = all.iter().find(writes).map(|o| o.workload);
        Way::NoRoute {
            host: self.host(),
            port: self.port(),
            gone_node,
            listed_namespace: listed.as_ref().map(|(namespace, _)| namespace.clone()),
            writer: writer.map(|w| w.kubectl_name()),
            writer_namespace: writer.map(|w| w.metadata.namespace.clone()),
            listed_in: listed.map(|(_, name)| name),
        }
    }

    fn host(&self) -> Option<String> {
        self.address().map(|a| a.host.clone())
    }

    fn port(&self) -> Option<u16> {
        self.address().map(|a| a.port)
    }

    fn host_port(&self) -> Option<String> {
        self.address().map(Address::host_port)
    }

    fn path(&self) -> Option<String> {
        self.address().map(|a| a.bare_path().to_owned())
    }

    fn answer(&self) -> Answer {
        let answer_path = self.address().and_then(|a| targets::answer_path(self.snap, self.down.target, a));
        Answer { answer_path, url: self.down.target.scrape_url.clone() }
    }

    fn asked(&self) -> Asked {
        const LOCAL: u16 = 18080;
        let address = self.address();
        Asked {
            url: self.down.target.scrape_url.clone(),
            forward: address.map(|a| format!("{LOCAL}:{}", a.port)),
            local_url: address.map_or_else(String::new, |a| format!("{}://localhost:{LOCAL}{}", a.scheme, a.path)),
        }
    }

    fn service(&self) -> Option<(String, String)> {
        self.address().and_then(|a| targets::service_of(self.snap, self.down.target, a))
    }

    fn pod(&self) -> Option<(String, String)> {
        self.address().and_then(|a| targets::pod_of(self.snap, self.down.target, a))
    }

    fn service_exists(&self) -> Option<bool> {
        let (namespace, name) = self.service()?;
        self.snap.services.find(&namespace, &name).ok().map(|s| s.is_some())
    }

    fn namespace(&self) -> Option<String> {
        self.service().or_else(|| self.pod()).map(|(namespace, _)| namespace)
    }

    fn logged(&self) -> Logged {
        let selected = self.address().and_then(|a| targets::existing_service_of(self.snap, self.down.target, a));
        let pod = self.pod();
        let of_pod = || {
            let (namespace, name) = pod.as_ref()?;
            self.snap.pods.find(namespace, name).ok().flatten().map(|p| self.snap.owner_ref(p).kubectl_name())
        };
        let workload = selected.and_then(|s| origin::workload_behind(self.snap, s)).or_else(of_pod);
        Logged { namespace: self.namespace(), workload, pod: pod.map(|(_, name)| name) }
    }
}
