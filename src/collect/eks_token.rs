//! EKS bearer tokens without the AWS CLI: reads what a kubeconfig's exec plugin would do, and does it.

use std::path::Path;

/// What an exec plugin was told to get a token for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EksExec {
    /// Cluster name, or its id where the plugin was given that (clusters on Outposts).
    pub cluster: String,
    /// Region of STS.
    pub region: Option<String>,
    /// Profile of the AWS configuration files.
    pub profile: Option<String>,
    /// The profile was named by a flag. Then it wins over keys in the environment; `AWS_PROFILE` does not.
    pub profile_is_flag: bool,
    /// Role to assume first.
    pub role_arn: Option<String>,
}

/// Reads a kubeconfig's exec plugin. `None` if it is not one that gets EKS tokens, or if a flag or variable is set
/// whose meaning is not known here: then only the plugin itself gives the right token.
pub fn parse_exec(command: &str, args: &[String], env: &[(String, String)]) -> Option<EksExec> {
    let exec = match program(command)? {
        Program::AwsCli => aws_cli(args)?,
        Program::Authenticator => authenticator(args)?,
    };
    with_environment(exec, env)
}

enum Program {
    AwsCli,
    Authenticator,
}

fn program(command: &str) -> Option<Program> {
    // A kubeconfig written on Windows may be read elsewhere.
    let name = command.rsplit('\\').next().unwrap_or(command);
    let name = Path::new(name).file_name()?.to_str()?.to_ascii_lowercase();
    match name.strip_suffix(".exe").unwrap_or(&name) {
        "aws" => Some(Program::AwsCli),
        "aws-iam-authenticator" => Some(Program::Authenticator),
        _ => None,
    }
}

/// `aws [--region R] eks get-token --cluster-name N …`: the AWS CLI takes its flags in any place.
fn aws_cli(args: &[String]) -> Option<EksExec> {
    let (mut exec, mut words, mut id) = (EksExec::default(), Vec::new(), None);
    let mut args = Args::new(args);
    while let Some((flag, value)) = args.next() {
        match flag {
            "--cluster-name" => exec.cluster = args.value(value)?,
            "--cluster-id" => id = Some(args.value(value)?),
            "--role-arn" | "--role" => exec.role_arn = Some(args.value(value)?),
            "--region" => exec.region = Some(args.value(value)?),
            "--profile" => (exec.profile, exec.profile_is_flag) = (Some(args.value(value)?), true),
            // Any other format is one that kubectl cannot read: let the plugin fail as it does there.
            "--output" if args.value(value)? == "json" => {}
            "--color" | "--cli-read-timeout" | "--cli-connect-timeout" => drop(args.value(value)?),
            "--no-cli-pager" | "--no-paginate" | "--no-cli-auto-prompt" if value.is_none() => {}
            word if !word.starts_with('-') => words.push(word),
            _ => return None,
        }
    }
    if words != ["eks", "get-token"] {
        return None;
    }
    with_id(exec, id)
}

/// `aws-iam-authenticator token -i N [-r ROLE]`.
fn authenticator(args: &[String]) -> Option<EksExec> {
    let (mut exec, mut words, mut id) = (EksExec::default(), Vec::new(), None);
    let mut args = Args::new(args);
    while let Some((flag, value)) = args.next() {
        match flag {
            "-i" | "--cluster-id" => id = Some(args.value(value)?),
            "-r" | "--role" => exec.role_arn = Some(args.value(value)?),
            "--region" => exec.region = Some(args.value(value)?),
            // Where tokens' credentials are kept between calls, not what they are.
            "--cache" if value.is_none() => {}
            word if !word.starts_with('-') => words.push(word),
            // Session names and external ids change who the token says one is; --token-only is not for kubectl.
            _ => return None,
        }
    }
    if words != ["token"] {
        return None;
    }
    with_id(exec, id)
}

/// Exactly one of name and id: the plugins refuse both, and neither.
fn with_id(mut exec: EksExec, id: Option<String>) -> Option<EksExec> {
    if let Some(id) = id {
        if !exec.cluster.is_empty() {
            return None;
        }
        exec.cluster = id;
    }
    (!exec.cluster.is_empty()).then_some(exec)
}

/// Fills in what the flags left open.
fn with_environment(mut exec: EksExec, env: &[(String, String)]) -> Option<EksExec> {
    let known = |name: &str| {
        let read = ["AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"];
        // A cluster takes tokens of the regional and of the global STS endpoint alike; the others only shape output.
        let no_matter =
            ["AWS_STS_REGIONAL_ENDPOINTS", "AWS_PAGER", "AWS_CLI_AUTO_PROMPT", "AWS_SDK_LOAD_CONFIG", "PATH"];
        read.contains(&name) || no_matter.contains(&name)
    };
    if env.iter().any(|(name, _)| !known(name)) {
        return None;
    }
    let variable =
        |name: &str| env.iter().rev().find(|(n, v)| n == name && !v.is_empty()).map(|(_, value)| value.clone());
    exec.profile = exec.profile.or_else(|| variable("AWS_PROFILE"));
    exec.region = exec.region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
    Some(exec)
}

/// Arguments one by one, `--flag=value` split.
struct Args<'a> {
    rest: std::slice::Iter<'a, String>,
}

impl<'a> Args<'a> {
    fn new(args: &'a [String]) -> Self {
        Self { rest: args.iter() }
    }

    /// The next flag or word, with the value if it is in the same argument.
    fn next(&mut self) -> Option<(&'a str, Option<&'a str>)> {
        let arg = self.rest.next()?;
        match arg.split_once('=') {
            Some((flag, value)) if arg.starts_with("--") => Some((flag, Some(value))),
            _ => Some((arg, None)),
        }
    }

    /// The flag's value: what stood in the same argument, or the next argument. `None` if there is none.
    fn value(&mut self, inline: Option<&str>) -> Option<String> {
        let value = match inline {
            Some(value) => value,
            None => self.rest.next()?,
        };
        (!value.is_empty() && !value.starts_with('-')).then(|| value.to_owned())
    }
}

#[cfg(feature = "aws")]
pub use sign::token;

#[cfg(feature = "aws")]
mod sign {
    use std::error::Error;
    use std::time::{Duration, SystemTime};

    use aws_config::sts::AssumeRoleProvider;
    use aws_config::{Region, SdkConfig};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::ProvideCredentials;
    use aws_credential_types::provider::error::CredentialsError;
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
    use aws_sigv4::sign::v4::SigningParams;
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::EksExec;
    use crate::collect::aws::live::{Chain, LOG_IN, chain_text, find};

    /// Longest time that getting credentials may take. SSO and role calls are fast, looking for an instance role is not.
    const TIMEOUT: Duration = Duration::from_secs(20);
    /// As the AWS CLI asks for. The cluster takes the token for 15 minutes whatever this says.
    const EXPIRES: Duration = Duration::from_secs(60);

    /// A bearer token for the cluster, from credentials of the standard chain. `profile` and `region` are the user's
    /// own flags and win over what the kubeconfig says.
    ///
    /// # Errors
    /// One line with what went wrong and what to do.
    pub async fn token(exec: &EksExec, profile: Option<&str>, region: Option<&str>) -> Result<String, String> {
        let chain = Chain {
            profile: profile.or(exec.profile.as_deref()),
            profile_wins: profile.is_some() || exec.profile_is_flag,
            region: region.or(exec.region.as_deref()),
            timeout: TIMEOUT,
        };
        let config = chain.load().await;
        let Some(region) = config.region().cloned() else {
            return Err("no AWS region is set: pass --region, set AWS_REGION, or give the profile a region".into());
        };
        let credentials =
            tokio::time::timeout(TIMEOUT, credentials(&config, exec, &region)).await.map_err(|_| {
                format!(
                    "AWS credentials for the EKS token took longer than {TIMEOUT:?}: check the network and the profile"
                )
            })??;
        let url = presign(&credentials, &exec.cluster, region.as_ref(), SystemTime::now())?;
        Ok(format!("k8s-aws-v1.{}", BASE64_URL_SAFE_NO_PAD.encode(url)))
    }

    async fn credentials(config: &SdkConfig, exec: &EksExec, region: &Region) -> Result<Credentials, String> {
        let no_credentials = |why: &str| format!("no AWS credentials for the EKS token: {why}; {LOG_IN}");
        let Some(own) = config.credentials_provider() else { return Err(no_credentials("no provider")) };
        let Some(role) = &exec.role_arn else {
            return own.provide_credentials().await.map_err(|e| no_credentials(&chain_text(&e)));
        };
        let assumed = AssumeRoleProvider::builder(role)
            .session_name("EKSGetTokenAuth")
            .region(region.clone())
            .configure(config)
            .build()
            .await;
        assumed.provide_credentials().await.map_err(|e| match e.source().and_then(find::<CredentialsError>) {
            Some(own) => no_credentials(&chain_text(own)),
            None => {
                let fix =
                    "check the network and AWS_ENDPOINT_URL, and allow sts:AssumeRole for you and in its trust policy";
                format!("cannot assume role {role} for the EKS token: {}; {fix}", chain_text(&e))
            }
        })
    }

    /// The URL of a signed `sts:GetCallerIdentity`. The cluster calls it to learn whose token it is.
    fn presign(credentials: &Credentials, cluster: &str, region: &str, time: SystemTime) -> Result<String, String> {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = format!("https://sts.{region}.{suffix}/?Action=GetCallerIdentity&Version=2011-06-15");
        let failed = |e: &(dyn Error + 'static)| {
            format!("cannot sign the EKS token of cluster {cluster:?} in region {region:?}: {}", chain_text(e))
        };
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(EXPIRES);
        let identity = credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("sts")
            .time(time)
            .settings(settings)
            .build()
            .map_err(|e| failed(&e))?
            .into();
        let headers = [("x-k8s-aws-id", cluster)].into_iter();
        let request =
            SignableRequest::new("GET", url.as_str(), headers, SignableBody::Bytes(&[])).map_err(|e| failed(&e))?;
        let (instructions, _) = sign(request, &params).map_err(|e| failed(&e))?.into_parts();
        let mut url = url::Url::parse(&url).map_err(|e| failed(&e))?;
        url.query_pairs_mut().extend_pairs(instructions.params());
        Ok(url.into())
    }

    #[cfg(test)]
    mod tests {
        use std::collections::BTreeMap;

        use super::*;

        fn parts(region: &str, session: Option<&str>) -> (url::Url, BTreeMap<String, String>) {
            let session = session.map(str::to_owned);
            let keys = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session, None, "t");
            // 2025-01-02T03:04:05Z.
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_787_045);
            let url = presign(&keys, "shop-prod", region, time).expect("fixed parameters sign");
            let url = url::Url::parse(&url).expect("a URL");
            let query = url.query_pairs().into_owned().collect();
            (url, query)
        }

        #[test]
        fn signs_what_the_cluster_expects() {
            let (url, query) = parts("eu-west-1", Some("tok+en/=="));
            assert_eq!((url.scheme(), url.host_str(), url.path()), ("https", Some("sts.eu-west-1.amazonaws.com"), "/"));
            let expected = [
                ("Action", "GetCallerIdentity"),
                ("Version", "2011-06-15"),
                ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
                ("X-Amz-Credential", "AKIDEXAMPLE/20250102/eu-west-1/sts/aws4_request"),
                ("X-Amz-Date", "20250102T030405Z"),
                ("X-Amz-Expires", "60"),
                ("X-Amz-Security-Token", "tok+en/=="),
                ("X-Amz-SignedHeaders", "host;x-k8s-aws-id"),
                ("X-Amz-Signature", SIGNATURE),
            ];
            // No other parameter: the cluster refuses tokens that hold one.
            assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        }

        /// Computed with botocore 1.44 from the same keys, time and cluster.
        const SIGNATURE: &str = "f72df41213d62196eb5930e10e8210243277cf6d2e5e3319d7709da8869e9af6";

        #[test]
        fn china_has_its_own_domain() {
            let (url, query) = parts("cn-north-1", None);
            assert_eq!(url.host_str(), Some("sts.cn-north-1.amazonaws.com.cn"));
            assert!(!query.contains_key("X-Amz-Security-Token"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(command: &str, args: &str, env: &[(&str, &str)]) -> Option<EksExec> {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        parse_exec(command, &args, &env)
    }

    fn exec(cluster: &str, region: &str, profile: &str, role: &str) -> Option<EksExec> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Some(EksExec {
            cluster: cluster.into(),
            region: some(region),
            profile: some(profile),
            profile_is_flag: !profile.is_empty(),
            role_arn: some(role),
        })
    }

    #[test]
    fn reads_the_aws_cli_in_any_order() {
        let role = "arn:aws:iam::1:role/r";
        let same = [
            format!("--region r --profile p --output json eks get-token --cluster-name c --role-arn {role}"),
            format!("eks get-token --cluster-name=c --role={role} --region=r --profile=p --output=json"),
            format!("eks --profile p get-token --role-arn {role} --no-cli-pager --cluster-name c --region r"),
        ];
        for args in same {
            assert_eq!(parse("aws", &args, &[]), exec("c", "r", "p", role), "{args}");
        }
        assert_eq!(parse("aws", "eks get-token --cluster-id 0a-1b", &[]), exec("0a-1b", "", "", ""));
    }

    #[test]
    fn knows_the_plugins_by_their_file_names() {
        for command in ["aws", "/usr/local/bin/aws", "aws.exe", r"C:\Program Files\Amazon\AWSCLIV2\aws.exe", "AWS.EXE"]
        {
            assert_eq!(parse(command, "eks get-token --cluster-name c", &[]), exec("c", "", "", ""), "{command}");
        }
        for command in ["", "aws-vault", "kubelogin", "/usr/bin/awsx", "gke-gcloud-auth-plugin"] {
            assert_eq!(parse(command, "eks get-token --cluster-name c", &[]), None, "{command}");
        }
    }

    #[test]
    fn reads_the_authenticator() {
        let role = "arn:aws:iam::1:role/r";
        let command = "/opt/aws-iam-authenticator";
        for args in [format!("token -i c -r {role}"), format!("token --role={role} --cache --cluster-id c")] {
            assert_eq!(parse(command, &args, &[]), exec("c", "", "", role), "{args}");
        }
        assert_eq!(parse(command, "token --cluster-id=c --region r", &[]), exec("c", "r", "", ""));
    }

    #[test]
    fn leaves_to_the_plugin_what_it_does_not_know() {
        let aws = [
            "",
            "eks get-token",
            "eks get-token --cluster-name",
            "eks get-token --cluster-name --region r",
            "eks get-token --cluster-name c --cluster-id i",
            "eks get-token --cluster-name c --output text",
            "eks get-token --cluster-name c --endpoint-url http://x",
            "eks get-token --cluster-name c --no-verify-ssl",
            "eks get-token --cluster-name c extra",
            "eks update-kubeconfig --name c",
            "sts get-caller-identity",
        ];
        for args in aws {
            assert_eq!(parse("aws", args, &[]), None, "{args}");
        }
        for args in
            ["token", "verify -i c", "token -i c -s name", "token -i c --forward-session-name", "token -i c -e x"]
        {
            assert_eq!(parse("aws-iam-authenticator", args, &[]), None, "{args}");
        }
        for name in ["AWS_CONFIG_FILE", "AWS_ACCESS_KEY_ID", "HTTPS_PROXY", "HOME"] {
            assert_eq!(parse("aws", "eks get-token --cluster-name c", &[(name, "x")]), None, "{name}");
        }
    }

    #[test]
    fn flags_win_over_variables() {
        let env = [
            ("AWS_PROFILE", "ep"),
            ("AWS_DEFAULT_REGION", "ed"),
            ("AWS_REGION", "er"),
            ("AWS_STS_REGIONAL_ENDPOINTS", "regional"),
        ];
        let from_env = parse("aws", "eks get-token --cluster-name c", &env);
        let expected = exec("c", "er", "ep", "").map(|e| EksExec { profile_is_flag: false, ..e });
        assert_eq!(from_env, expected);
        let flags = parse("aws", "--profile p --region r eks get-token --cluster-name c", &env);
        assert_eq!(flags, exec("c", "r", "p", ""));
        assert_eq!(parse("aws", "eks get-token --cluster-name c", &[("AWS_PROFILE", "")]), exec("c", "", "", ""));
    }
}
