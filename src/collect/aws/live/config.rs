//! Credentials, region and timeouts by AWS's standard chain.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

/// A server that takes longer to connect to is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// First wait before a retry. The SDK's own second would often outlast the deadline, and "timeout" would then hide
/// that the connection was refused, or the account throttled.
const BACKOFF: Duration = Duration::from_millis(200);

/// What the user or the kubeconfig says about where credentials and region come from.
pub(crate) struct Chain<'a> {
    /// Profile of the AWS configuration files.
    pub(crate) profile: Option<&'a str>,
    /// The profile was named by a flag: it wins over keys in the environment, as `aws --profile` does and
    /// `AWS_PROFILE` does not.
    pub(crate) profile_wins: bool,
    /// Region, over what the environment and the profile say.
    pub(crate) region: Option<&'a str>,
    /// Longest time that one call may take, with its retries.
    pub(crate) timeout: Duration,
}

impl Chain<'_> {
    pub(crate) async fn load(&self) -> SdkConfig {
        let loader = self.loader();
        let Some(profile) = self.profile else { return loader.load().await };
        let config = loader.profile_name(profile).load().await;
        if !self.profile_wins {
            return config;
        }
        // The SDK asks the environment first, even where a profile is named.
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&ProviderConfig::without_region().with_region(config.region().cloned()))
            .profile_name(profile)
            .build();
        config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
    }

    pub(super) fn loader(&self) -> ConfigLoader {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.timeout.min(CONNECT_TIMEOUT))
            .operation_timeout(self.timeout)
            .build();
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(4).with_initial_backoff(BACKOFF))
            .timeout_config(timeouts);
        // The SDK's own User-Agent says which program it works for.
        let loader = match AppName::new(concat!("kdoctor-", env!("CARGO_PKG_VERSION"))) {
            Ok(name) => loader.app_name(name),
            Err(_) => loader,
        };
        match self.region {
            Some(region) => loader.region(Region::new(region.to_owned())),
            None => loader,
        }
    }
}
