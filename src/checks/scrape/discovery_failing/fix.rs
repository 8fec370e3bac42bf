//! What lets a discovery work again, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::rights::{Question, Scope};
use super::{Discovery, service_account};
use crate::checks::support::origin::{ChangeJob, ConfigLine, JobPlace, path_of_key};
use crate::checks::support::place::Place;
use crate::domain::aws::trust;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::owner::operator_resource;
use crate::domain::prometheus::discovery_log::{Cause, FileCause};
use crate::domain::prometheus::origin;
use crate::domain::text::redact::redact;

/// The policy that is made for a role of Prometheus.
const POLICY: &str = "prometheus-ec2-discovery";

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    /// Prometheus' workload.
    workload: String,
    workload_namespace: String,
    /// What is asked of RBAC, and for whom: nothing where it refused nothing.
    questions: Vec<Question>,
    user: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Forbidden {
        scopes: Vec<Scope>,
        /// The name of the roles that are made.
        role: String,
        is_account: bool,
        cluster_wide: bool,
        account_managed_by: String,
        #[serde(flatten)]
        account: Account,
    },
    Token {
        error: String,
        log_namespace: String,
        log_pod: String,
        /// The operator's resource: it would undo a change of the StatefulSet.
        prometheus_resource: Option<String>,
        #[serde(flatten)]
        account: Account,
    },
    Unauthorized {
        error: String,
    },
    Certificate {
        error: String,
        log_namespace: String,
    },
    Unreachable {
        /// Empty where nothing was logged.
        error: String,
    },
    File {
        error: String,
        path: String,
        missing: bool,
        unreadable: bool,
        is_json: bool,
        /// The ConfigMap that fills the file.
        file_map: Option<String>,
        file_jsonpath: String,
        log_namespace: String,
        log_pod: String,
        log_container: String,
    },
    AwsCredentials {
        error: String,
        cluster: String,
        has_role: bool,
        policy_name: &'static str,
        policy: String,
        policy_arn: String,
        new_role: String,
        new_role_arn: String,
        account_managed_by: String,
        #[serde(flatten)]
        account: Account,
    },
    AwsRestart,
    AwsRole {
        error: String,
        aws_role: String,
        /// A filter of jq that adds the statement which admits the account.
        admit: String,
    },
    AwsDenied {
        error: String,
        aws_role: String,
        /// No role is known by which Prometheus calls AWS.
        of_node: bool,
        #[serde(flatten)]
        account: Account,
        policy_name: &'static str,
        policy: String,
    },
    Other {
        error: String,
        mechanism: String,
        /// Empty where the log names none.
        job: String,
        /// Where the job is configured.
        config_map: Option<String>,
        config_namespace: Option<String>,
        config_jsonpath: Option<String>,
        monitor_kind: Option<&'static str>,
        monitor: Option<String>,
        monitor_namespace: Option<String>,
    },
}

/// The ServiceAccount of Prometheus, or the one that RBAC refused.
#[derive(Serialize, JsonSchema)]
struct Account {
    account: String,
    account_namespace: String,
}

impl Fix {
    pub(super) fn of(discovery: &Discovery<'_>) -> Self {
        let reader = origin::reader_of(discovery.snap, None);
        let unknown = || "<deployment or statefulset of Prometheus>".to_owned();
        let namespace = reader.as_ref().map_or(&discovery.first.pod.0, |r| &r.namespace).clone();
        Self {
            workload: reader.map_or_else(unknown, |r| r.name),
            workload_namespace: namespace,
            questions: discovery.questions(),
            user: discovery.user(),
            way: discovery.way(),
        }
    }
}

impl Discovery<'_> {
    fn way(&self) -> Way {
        let error = redact(&self.first.error);
        let (namespace, pod, _) = self.first.pod.clone();
        match &self.first.reason {
            Cause::Denied(_) => self.forbidden(),
            Cause::NotInCluster => Way::Token {
                error,
                log_namespace: namespace,
                log_pod: pod,
                prometheus_resource: self.operator_resource(),
                account: self.refused_account(),
            },
            Cause::Unauthorized => Way::Unauthorized { error },
            Cause::Certificate => Way::Certificate { error, log_namespace: namespace },
            Cause::Unreachable => Way::Unreachable { error },
            Cause::File(fault, path) => self.file(error, fault, path),
            Cause::AwsCredentials if self.is_older_than_its_role() => Way::AwsRestart,
            Cause::AwsCredentials => self.aws_credentials(error, "ec2:DescribeInstances"),
            Cause::AwsRole => Way::AwsRole { error, aws_role: self.aws_role(), admit: self.admit() },
            Cause::AwsDenied(_) if self.calls_as_node() && self.is_older_than_its_role() => Way::AwsRestart,
            // What the node's role gets, all pods on the node get.
            Cause::AwsDenied(action) if self.calls_as_node() => self.aws_credentials(error, action),
            Cause::AwsDenied(action) => {
                let (aws_role, policy) = (self.aws_role(), policy(action));
                let of_node = self.assumed_role().is_none() && self.role_arn().is_none();
                let account = self.refused_account();
                Way::AwsDenied { error, aws_role, of_node, account, policy_name: POLICY, policy }
            }
            Cause::Other(_) => self.other(error),
        }
    }

    /// The user that RBAC refused, or that of the service account.
    fn user(&self) -> String {
        let Account { account, account_namespace } = self.refused_account();
        let own = || format!("system:serviceaccount:{account_namespace}:{account}");
        self.denied().next().map_or_else(own, |d| d.user.clone())
    }

    fn refused_account(&self) -> Account {
        let refused = self.denied().next().and_then(|d| service_account(&d.user));
        let (account_namespace, account) = refused.map_or_else(|| self.account(), |(ns, n)| (ns.into(), n.into()));
        Account { account, account_namespace }
    }

    fn kept_by(&self, account: &Account) -> String {
        let found = self.snap.service_accounts.find(&account.account_namespace, &account.account).ok().flatten();
        found.map(|a| managed_by(&a.metadata)).unwrap_or_default()
    }

    /// The operator writes the StatefulSet again: its own resource is what one changes.
    fn operator_resource(&self) -> Option<String> {
        self.pod.and_then(|p| operator_resource(self.snap, p)).map(|(_, name)| name.to_owned())
    }

    fn forbidden(&self) -> Way {
        let account = self.refused_account();
        Way::Forbidden {
            scopes: self.scopes(),
            role: format!("{}-discovery", account.account),
            is_account: self.denied().next().is_none_or(|d| service_account(&d.user).is_some()),
            cluster_wide: self.denied().any(|d| d.namespace.is_none() && d.resource != "nodes"),
            account_managed_by: self.kept_by(&account),
            account,
        }
    }

    fn file(&self, error: String, fault: &FileCause, path: &str) -> Way {
        let missing = *fault == FileCause::Missing;
        let (_, file) = path.rsplit_once('/').unwrap_or_default();
        let mounted = if missing { None } else { self.mounted_at(path) };
        let (file_map, key) = mounted.map_or((None, file.to_owned()), |(map, key)| (Some(map), key));
        let (log_namespace, log_pod, log_container) = self.first.pod.clone();
        Way::File {
            error,
            path: path.to_owned(),
            missing,
            unreadable: *fault == FileCause::Unreadable,
            is_json: path.ends_with(".json"),
            file_map,
            file_jsonpath: path_of_key(&key),
            log_namespace,
            log_pod,
            log_container,
        }
    }

    /// The ConfigMap that fills a file, and its key.
    fn mounted_at(&self, path: &str) -> Option<(String, String)> {
        let pod = self.pod?;
        let container = pod.spec.containers.iter().find(|c| c.name == self.first.pod.2)?;
        match mounts::origin(self.snap, pod, container, path) {
            Origin::ConfigMap { name, key } => Some((name, key)),
            _ => None,
        }
    }

    fn aws_credentials(&self, error: String, action: &str) -> Way {
        let place = Place::of(self.snap);
        let account = self.refused_account();
        let named = format!("{}-{}", account.account, place.cluster);
        let new_role: String = named.chars().filter(|c| !matches!(c, '<' | '>')).take(64).collect();
        Way::AwsCredentials {
            error,
            has_role: self.role_arn().is_some(),
            policy_name: POLICY,
            policy: policy(action),
            policy_arn: format!("arn:{}:iam::{}:policy/{POLICY}", place.partition, place.account),
            new_role_arn: place.role_arn(&new_role),
            new_role,
            cluster: place.cluster,
            account_managed_by: self.kept_by(&account),
            account,
        }
    }

    /// The role that AWS names.
    pub(super) fn assumed_role(&self) -> Option<&str> {
        self.first.error.split("assumed-role/").nth(1).and_then(|r| r.split('/').next())
    }

    /// The role that AWS names, else that of the service account.
    fn aws_role(&self) -> String {
        let arn = self.role_arn();
        let role = self.assumed_role().or(arn.as_deref().and_then(|a| a.rsplit('/').next()));
        role.unwrap_or("<role-name>").to_owned()
    }

    /// Adds the statement that admits the service account to those of a trust policy.
    fn admit(&self) -> String {
        let cluster = self.snap.eks_cluster().ok();
        let issuer = cluster.map_or("<oidc-issuer>", |c| c.issuer_host_path());
        let (namespace, account) = self.account();
        let provider = Place::of(self.snap).provider_arn(issuer);
        let statement = trust::irsa_statement(&provider, issuer, &namespace, &account);
        format!(".Statement |= ([.] | flatten) + [{statement}]")
    }

    fn other(&self, error: String) -> Way {
        let job = self.affected.first().cloned().unwrap_or_default();
        let ChangeJob { place, config_jsonpath, .. } = ChangeJob::of(self.snap, &job);
        let JobPlace { monitor_kind, monitor, monitor_namespace, line } = place;
        let ConfigLine { config_map, config_namespace, .. } = line;
        Way::Other {
            error,
            mechanism: self.first.mechanism.clone(),
            job,
            config_map,
            config_namespace,
            config_jsonpath,
            monitor_kind,
            monitor,
            monitor_namespace,
        }
    }
}

/// A policy that allows what the discovery calls.
fn policy(action: &str) -> String {
    let mut actions = vec![action];
    // The zones' ids are labels of the targets.
    if action == "ec2:DescribeInstances" {
        actions.push("ec2:DescribeAvailabilityZones");
    }
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}
