//! What lets Alertmanager deliver, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::case::Case;
use super::template_error;
use super::values::{Asked, Config, Mail, Secret, template_glob};
use super::words::is_of_key;
use crate::checks::support::amtool::Amtool;
use crate::checks::support::services::{self, OwnForm};
use crate::domain::alertmanager::notify_error::Cause;
use crate::domain::kubernetes::host::Place;
use crate::domain::kubernetes::owner::workload_name;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    /// The pod that said so, and its workload; empty where neither is known.
    pod: String,
    workload: String,
    #[serde(flatten)]
    amtool: Amtool,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    AwsCredentials {
        service_account: String,
        operator: bool,
    },
    AwsDenied {
        detail: String,
        aws_role: String,
        /// The topic's key refuses, and not the topic.
        of_key: bool,
    },
    Certificate {
        receiver: String,
        integration: String,
        host: String,
        tls_host: String,
        #[serde(flatten)]
        mail: Mail,
    },
    Channel {
        receiver: String,
        telegram: bool,
        channel: Option<String>,
        advice: &'static str,
    },
    Counters {
        path: String,
    },
    /// It stands in the configuration.
    Credential {
        slack: bool,
        advice: &'static str,
        #[serde(flatten)]
        config: Config,
    },
    /// It is read from a file.
    CredentialFile {
        slack: bool,
        advice: &'static str,
        path: String,
        /// The file is mounted with subPath, and does not change while the pod runs.
        secret_fixed: bool,
        operator: bool,
        #[serde(flatten)]
        secret: Secret,
    },
    Dns {
        host: String,
        /// Slack was meant, and another host was asked.
        foreign: bool,
    },
    Egress {
        /// A mail server outside is asked at the port that clouds keep shut.
        shut: bool,
        /// The same server at the port that is for programs.
        submission: String,
        #[serde(flatten)]
        asked: Asked,
    },
    File {
        receiver: String,
        path: String,
        operator: bool,
        #[serde(flatten)]
        secret: Secret,
    },
    NotFound {
        detail: String,
        advice: &'static str,
        receiver: String,
        integration: String,
    },
    Other {
        detail: String,
    },
    Payload {
        slack: bool,
        receiver: String,
        detail: String,
        advice: &'static str,
    },
    PlainHttp {
        receiver: String,
        host: String,
        mail: bool,
    },
    Policy {
        receiver: String,
        channel: Option<String>,
    },
    Proxy {
        receiver: String,
        integration: String,
        host: String,
    },
    RateLimit,
    Refused(Asked),
    Retired {
        receiver: String,
        /// It is a workflow already, and gets the wrong cards.
        workflow: bool,
    },
    Server {
        slack: bool,
        host: String,
        url: String,
    },
    Service {
        receiver: String,
        service: Option<String>,
        service_namespace: Option<String>,
        /// What a program says that takes the webhook and passes it on in vain.
        says: Option<String>,
    },
    SmtpAuth {
        receiver: String,
        host: String,
        advice: &'static str,
        #[serde(flatten)]
        secret: Secret,
    },
    Starttls {
        receiver: String,
        host: String,
        advice: &'static str,
    },
    /// The service takes messages of another form than a webhook's.
    OwnForm {
        receiver: String,
        service: &'static str,
        /// What Alertmanager calls those who send it, and where the URL stands there; empty where it has none.
        configs: &'static str,
        url_field: &'static str,
        advice: &'static str,
    },
    Template {
        receiver: String,
        detail: String,
        /// What the error means; empty where it is not known.
        advice: String,
        /// The template that nothing defines.
        missing: Option<String>,
        /// The files beside the configuration that could define it.
        template_glob: String,
        #[serde(flatten)]
        config: Config,
    },
    ThroughProxy {
        receiver: String,
        host: String,
        url: String,
        /// The proxy, and its URL as something that can be asked.
        proxy: String,
        proxy_probe: String,
        #[serde(flatten)]
        config: Config,
    },
}

impl Fix {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let sample = &case.group.sample;
        Self {
            namespace: sample.namespace.clone(),
            pod: sample.pod.clone(),
            workload: case.pod.and_then(|p| workload_name(case.snap, p)).unwrap_or_default(),
            amtool: Amtool::of_log(&sample.namespace, &sample.pod, case.pod.zip(case.container)),
            way: case.way(),
        }
    }

    /// Something uses a template that nothing defines.
    pub(super) fn template(
        snap: &Snapshot,
        pod: &Pod,
        container: &str,
        (receiver, name): (&str, &str),
        detail: &str,
    ) -> Self {
        let at = pod.spec.containers.iter().find(|c| c.name == container).map(|c| (pod, c));
        Self {
            namespace: pod.metadata.namespace.clone(),
            pod: pod.metadata.name.clone(),
            workload: snap.owner_ref(pod).kubectl_name(),
            amtool: Amtool::of_log(&pod.metadata.namespace, &pod.metadata.name, at),
            way: Way::Template {
                receiver: receiver.to_owned(),
                detail: detail.to_owned(),
                advice: String::new(),
                missing: Some(name.to_owned()),
                template_glob: template_glob(at.map(|(_, c)| c)),
                config: Config::of(snap, at),
            },
        }
    }

    /// Only counters tell.
    pub(super) fn counters(namespace: &str, path: String) -> Self {
        Self {
            namespace: namespace.to_owned(),
            pod: String::new(),
            workload: String::new(),
            amtool: Amtool::of_log(namespace, "", None),
            way: Way::Counters { path },
        }
    }
}

impl Case<'_> {
    fn way(&self) -> Way {
        let sample = &self.group.sample;
        let (receiver, integration, detail) = (self.receiver(), sample.integration.clone(), self.detail());
        let advice = services::advice(&sample.integration, &sample.cause);
        let host = || self.host.clone().unwrap_or_else(|| "<host>".to_owned());
        let channel = || self.setting("channel", "").map(str::to_owned);
        let in_cluster = matches!(self.place, Some(Place::Cluster(_)));
        if let Some(proxy) = self.suspect() {
            return self.through_proxy(proxy);
        }
        match self.group.reason {
            Cause::NotFound if in_cluster && advice.is_empty() => self.service(),
            Cause::Timeout | Cause::NoRoute | Cause::Refused | Cause::Server if in_cluster => self.service(),
            Cause::Timeout | Cause::NoRoute => Way::Egress {
                shut: self.is_shut(),
                submission: format!("{}:587", self.smarthost().trim_end_matches(":25")),
                asked: self.asked(),
            },
            Cause::NoSuchHost | Cause::Dns => Way::Dns { host: host(), foreign: self.is_foreign() },
            Cause::Refused => Way::Refused(self.asked()),
            Cause::Certificate => {
                let tls_host = if host().contains(':') { host() } else { format!("{}:443", host()) };
                Way::Certificate { receiver, integration, host: host(), tls_host, mail: self.mail() }
            }
            Cause::PlainHttp => Way::PlainHttp { receiver, host: host(), mail: self.is_mail() },
            Cause::Proxy | Cause::Redirect => Way::Proxy { receiver, integration, host: host() },
            Cause::Auth if self.is_mail() => Way::SmtpAuth { receiver, host: host(), advice, secret: self.secret() },
            Cause::Auth | Cause::Url => self.credential(advice),
            Cause::Channel => {
                Way::Channel { receiver, telegram: integration == "telegram", channel: channel(), advice }
            }
            Cause::Policy => Way::Policy { receiver, channel: channel() },
            Cause::Retired | Cause::OldCard => Way::Retired { receiver, workflow: self.group.reason == Cause::OldCard },
            Cause::AwsDenied => {
                let aws_role = aws_role(&sample.cause).unwrap_or_else(|| "<role-name>".to_owned());
                Way::AwsDenied { detail, aws_role, of_key: is_of_key(&sample.cause) }
            }
            Cause::Payload => match self.own_form() {
                Some(OwnForm { service, configs, url, advice }) => {
                    Way::OwnForm { receiver, service, configs, url_field: url, advice }
                }
                None => Way::Payload { slack: self.is_slack(), receiver, detail, advice },
            },
            Cause::Template => Way::Template {
                receiver,
                advice: template_error::advice(&sample.cause),
                detail,
                missing: None,
                template_glob: template_glob(self.container),
                config: self.config(),
            },
            Cause::NotFound => Way::NotFound { receiver, integration, detail, advice },
            Cause::RateLimit => Way::RateLimit,
            Cause::Server => Way::Server { slack: self.is_slack(), host: host(), url: self.url() },
            Cause::StartTls | Cause::Unsent => Way::Starttls { receiver, host: host(), advice },
            Cause::AwsCredentials => Way::AwsCredentials {
                service_account: self.pod.map_or("default", |p| p.spec.account()).to_owned(),
                operator: self.is_operated(),
            },
            Cause::File => {
                Way::File { receiver, path: self.path(), operator: self.is_operated(), secret: self.secret() }
            }
            Cause::Other => Way::Other { detail },
        }
    }

    fn service(&self) -> Way {
        let (service, service_namespace) = match &self.place {
            Some(Place::Cluster(s)) => (Some(s.service.clone()), Some(s.namespace.clone())),
            _ => (None, None),
        };
        Way::Service { receiver: self.receiver(), service, service_namespace, says: self.bridge_says() }
    }

    fn through_proxy(&self, proxy: &str) -> Way {
        Way::ThroughProxy {
            receiver: self.receiver(),
            host: self.host.clone().unwrap_or_else(|| "<host>".to_owned()),
            url: self.url(),
            proxy: proxy.to_owned(),
            proxy_probe: probe_url(proxy),
            config: self.config(),
        }
    }

    fn credential(&self, advice: &'static str) -> Way {
        let slack = self.is_slack();
        match self.file() {
            (Some(path), source) => Way::CredentialFile {
                slack,
                advice,
                path,
                secret_fixed: source.is_some_and(|s| s.fixed),
                operator: self.is_operated(),
                secret: self.secret(),
            },
            (None, _) => Way::Credential { slack, advice, config: self.config() },
        }
    }
}

/// The URL of a proxy, as something that can be asked.
fn probe_url(proxy: &str) -> String {
    let url = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    format!("{}/", url.trim_end_matches('/'))
}

/// The role that was denied, in `User: arn:aws:sts::…:assumed-role/<role>/<session> is not authorized`.
fn aws_role(cause: &str) -> Option<String> {
    let (_, rest) = cause.split_once(":assumed-role/")?;
    rest.split('/').next().map(str::to_owned)
}
