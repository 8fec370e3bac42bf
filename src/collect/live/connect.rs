//! Finds the cluster: kubeconfig or in-cluster service account, EKS tokens without the AWS CLI, AWS credentials.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;
use url::Url;

use super::{Credentials, Live, chain};
use crate::collect::eks_token::{self, EksExec};
use crate::collect::source::Known;
use crate::text::redact::mask_values;

/// How kdoctor calls itself to servers.
const USER_AGENT: &str = concat!("kdoctor/", env!("CARGO_PKG_VERSION"));

/// How to reach the cluster.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// kubeconfig file; `$KUBECONFIG`, `~/.kube/config` or the in-cluster account where absent.
    pub kubeconfig: Option<PathBuf>,
    /// kubeconfig context; the current one where absent.
    pub context: Option<String>,
    /// EKS cluster name, where the kubeconfig does not say it.
    pub cluster_name: Option<String>,
    /// AWS region.
    pub region: Option<String>,
    /// AWS profile.
    pub profile: Option<String>,
    /// Prometheus' URL.
    pub prometheus_url: Option<Url>,
    /// Alertmanager's URL.
    pub alertmanager_url: Option<Url>,
    /// Grafana's URL.
    pub grafana_url: Option<Url>,
    /// `Bearer …` for Grafana, marked as sensitive: its Debug output does not show it.
    pub grafana_token: Option<http::HeaderValue>,
    /// Longest time for one call.
    pub timeout: Duration,
    /// AWS will be asked.
    pub aws: bool,
}

/// Why no cluster can be asked.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// There is no usable kubeconfig and no in-cluster account.
    #[error(
        "no cluster to look at: {0}\n  give --kubeconfig FILE or --context NAME; or look offline with --from BUNDLE or --demo"
    )]
    NoCluster(String),
    /// The named context does not exist.
    #[error("the kubeconfig has no context {name:?}{suggestion}")]
    NoContext {
        /// The name given.
        name: String,
        /// What exists.
        suggestion: String,
    },
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    BadConfig(String),
    /// The token could not be made.
    #[error("no EKS token for cluster {cluster}: {reason}")]
    Token {
        /// EKS cluster name.
        cluster: String,
        /// What went wrong and what to do.
        reason: String,
    },
}

/// What the kubeconfig says of the chosen cluster.
struct Chosen {
    config: Config,
    context: Option<String>,
    exec: Option<EksExec>,
}

impl Live {
    /// Connects. No call is made yet, except to AWS for a token where the kubeconfig wants one.
    ///
    /// # Errors
    /// [`ConnectError`], naming the file or context and what to do.
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        let mut chosen = choose(&options).await?;
        chosen.config.connect_timeout = Some(options.timeout);
        // Each call has its deadline. One of the connection would end one that waited, idle, while another call hung,
        // and with it the next call that is sent over it.
        chosen.config.read_timeout = None;
        chosen.config.write_timeout = None;
        // Retries are this source's own: they honour Retry-After.
        chosen.config.default_retry = false;
        chosen.config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(USER_AGENT)));
        let known = known(&options, &chosen);
        native_token(&options, &mut chosen, &known).await?;
        let credentials = Credentials::new(&chosen.config.auth_info, options.grafana_token.as_ref());
        let client = kube::Client::try_from(chosen.config).map_err(|e| ConnectError::BadConfig(chain(&e)))?;
        let http = reqwest::Client::builder()
            .timeout(options.timeout)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|e| ConnectError::BadConfig(chain(&e)))?;
        #[cfg(feature = "aws")]
        let aws = if options.aws {
            let exec = chosen.exec.as_ref();
            let profile = options.profile.as_deref().or(exec.and_then(|e| e.profile.as_deref()));
            Some(crate::collect::aws::live::connect(profile, known.region.as_deref(), options.timeout).await)
        } else {
            // Loading the configuration may ask the instance metadata for the region.
            None
        };
        Ok(Self {
            client,
            http,
            timeout: options.timeout,
            known,
            prometheus_url: options.prometheus_url,
            alertmanager_url: options.alertmanager_url,
            grafana_url: options.grafana_url,
            grafana_token: options.grafana_token,
            credentials,
            forward: false.into(),
            #[cfg(feature = "aws")]
            aws,
        })
    }
}

/// The contexts of the kubeconfig, and the current one. A kubeconfig that cannot be read has none.
pub fn contexts(kubeconfig: Option<&Path>) -> (Vec<String>, Option<String>) {
    let read = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => read_default(),
    };
    let Ok(read) = read else { return (Vec::new(), None) };
    let current = read.current_context.filter(|c| !c.is_empty());
    (read.contexts.into_iter().map(|c| c.name).collect(), current)
}

/// `$KUBECONFIG`, which may be a list of files, or `~/.kube/config`. As kubectl does, files of the list that are not there
/// are passed over.
fn read_default() -> Result<Kubeconfig, KubeconfigError> {
    let list = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let there: Vec<PathBuf> = std::env::split_paths(&list).filter(|p| p.exists()).collect();
    if there.is_empty() {
        // What is wrong with it is said by the library's own words.
        return Kubeconfig::read();
    }
    there.iter().try_fold(Kubeconfig::default(), |all, path| all.merge(Kubeconfig::read_from(path)?))
}

async fn choose(options: &ConnectOptions) -> Result<Chosen, ConnectError> {
    let kubeconfig = match &options.kubeconfig {
        Some(path) => Kubeconfig::read_from(path)
            .map_err(|e| ConnectError::BadConfig(unreadable(&path.display().to_string(), &e)))?,
        None => match read_default() {
            Ok(found) => found,
            Err(error) => {
                let told = unreadable(&default_files(), &error);
                let config = Config::incluster().map_err(|_| ConnectError::NoCluster(told))?;
                return Ok(Chosen { config, context: None, exec: None });
            }
        },
    };
    let names: Vec<&str> = kubeconfig.contexts.iter().map(|c| c.name.as_str()).collect();
    let context = options.context.clone().or_else(|| kubeconfig.current_context.clone()).filter(|c| !c.is_empty());
    let Some(context) = context else {
        return Err(ConnectError::NoCluster("the kubeconfig sets no current context".into()));
    };
    if !names.contains(&context.as_str()) {
        let near = crate::term::suggest(&context, names.iter().copied());
        let suggestion = match near {
            Some(near) => format!("; did you mean {near:?}?"),
            None => format!("; it has: {}", names.join(", ")),
        };
        return Err(ConnectError::NoContext { name: context, suggestion });
    }
    let kube_options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &kube_options)
        .await
        .map_err(|e| ConnectError::BadConfig(format!("context {context:?}: {}", mask_values(&chain(&e)))))?;
    let exec = recognise_exec(&config.auth_info);
    Ok(Chosen { config, context: Some(context), exec })
}

/// Why there is no kubeconfig: the file, named once, and what is wrong with it.
fn unreadable(files: &str, error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(why, path) => format!("{}: cannot be read: {why}", path.display()),
        other => format!("{files}: {}", mask_values(&chain(other))),
    }
}

/// The files that are read where none is given.
fn default_files() -> String {
    std::env::var("KUBECONFIG").ok().filter(|files| !files.is_empty()).unwrap_or_else(|| "~/.kube/config".to_owned())
}

/// The EKS cluster that the user's credential plugin is for.
fn recognise_exec(auth: &AuthInfo) -> Option<EksExec> {
    let exec = auth.exec.as_ref()?;
    let env: Vec<(String, String)> =
        exec.env.iter().flatten().filter_map(|e| Some((e.get("name")?.clone(), e.get("value")?.clone()))).collect();
    eks_token::parse_exec(exec.command.as_deref()?, exec.args.as_deref().unwrap_or_default(), &env)
}

fn given_urls(options: &ConnectOptions) -> BTreeMap<&'static str, String> {
    let all = [
        ("prometheus", &options.prometheus_url),
        ("alertmanager", &options.alertmanager_url),
        ("grafana", &options.grafana_url),
    ];
    all.into_iter().filter_map(|(app, url)| Some((app, super::display_url(url.as_ref()?)))).collect()
}

/// What the kubeconfig and the flags say of the cluster, before anything is asked.
fn known(options: &ConnectOptions, chosen: &Chosen) -> Known {
    let arn = chosen.context.as_deref().and_then(parse_cluster_arn);
    let host = chosen.config.cluster_url.host().unwrap_or_default();
    let host_region = eks_region_of_host(host);
    let exec = chosen.exec.as_ref();
    let cluster = options
        .cluster_name
        .clone()
        .or_else(|| exec.map(|e| e.cluster.clone()))
        .or_else(|| arn.as_ref().map(|a| a.cluster.clone()));
    let region = options
        .region
        .clone()
        .or_else(|| exec.and_then(|e| e.region.clone()))
        .or_else(|| arn.as_ref().map(|a| a.region.clone()))
        .or(host_region.clone());
    let is_eks =
        (exec.is_some() || arn.is_some() || host_region.is_some() || options.cluster_name.is_some()).then_some(true);
    Known {
        context: chosen.context.clone(),
        cluster,
        region,
        profile: exec.and_then(|e| e.profile.clone()),
        account: arn.map(|a| a.account),
        server: Some(host.to_owned()).filter(|h| !h.is_empty()),
        endpoint: Some(chosen.config.cluster_url.to_string()),
        is_eks,
        urls: given_urls(options),
        aws_unavailable: (!cfg!(feature = "aws")).then(|| "this kdoctor was built without AWS support".to_owned()),
    }
}

struct ClusterArn {
    region: String,
    account: String,
    cluster: String,
}

/// `arn:aws:eks:<region>:<account>:cluster/<name>`, which `aws eks update-kubeconfig` uses as the context's name.
fn parse_cluster_arn(text: &str) -> Option<ClusterArn> {
    let mut parts = text.split(':');
    let is_arn = parts.next() == Some("arn")
        && parts.next().is_some_and(|p| p.starts_with("aws"))
        && parts.next() == Some("eks");
    if !is_arn {
        return None;
    }
    let (region, account) = (parts.next()?, parts.next()?);
    let cluster = parts.next()?.strip_prefix("cluster/")?;
    Some(ClusterArn { region: region.into(), account: account.into(), cluster: cluster.into() })
}

/// `<id>.<shard>.<region>.eks.amazonaws.com`.
fn eks_region_of_host(host: &str) -> Option<String> {
    let name = host.strip_suffix(".eks.amazonaws.com").or_else(|| host.strip_suffix(".eks.amazonaws.com.cn"))?;
    name.rsplit('.').next().map(str::to_owned)
}

/// Replaces the AWS credential plugins by a token made here, so that no AWS CLI is needed.
#[cfg(feature = "aws")]
async fn native_token(options: &ConnectOptions, chosen: &mut Chosen, known: &Known) -> Result<(), ConnectError> {
    let Some(exec) = &chosen.exec else { return Ok(()) };
    let token =
        eks_token::token(exec, options.profile.as_deref(), options.region.as_deref().or(known.region.as_deref()));
    let token = tokio::time::timeout(options.timeout, token)
        .await
        .unwrap_or_else(|_| Err("no credentials within --timeout".to_owned()))
        .map_err(|reason| ConnectError::Token { cluster: exec.cluster.clone(), reason })?;
    chosen.config.auth_info.exec = None;
    chosen.config.auth_info.token = Some(token.into());
    Ok(())
}

/// Built without AWS: the plugin of the kubeconfig runs as it is.
#[cfg(not(feature = "aws"))]
async fn native_token(_: &ConnectOptions, _: &mut Chosen, _: &Known) -> Result<(), ConnectError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_eks_by_context_and_server() {
        let arn = parse_cluster_arn("arn:aws-cn:eks:cn-north-1:111122223333:cluster/shop").expect("an EKS ARN");
        assert_eq!((arn.region.as_str(), arn.cluster.as_str()), ("cn-north-1", "shop"));
        assert!(parse_cluster_arn("arn:aws:iam::1:cluster/x").is_none());
        assert!(parse_cluster_arn("kind-test").is_none());
        let region = eks_region_of_host("3E33.gr7.ap-northeast-2.eks.amazonaws.com");
        assert_eq!(region.as_deref(), Some("ap-northeast-2"));
        assert!(eks_region_of_host("eks.amazonaws.com.evil.test").is_none());
    }
}
