//! The credentials that are sent: a server or proxy that repeats the request in its error does not spread them.

use http::HeaderValue;
use kube::config::AuthInfo;
use secrecy::{ExposeSecret, SecretString};

use crate::collect::source::FetchError;
use crate::text::redact::MASK;

/// A shorter one could be any word.
const MIN_LENGTH: usize = 4;

/// What kdoctor identifies itself with.
pub(super) struct Credentials(Vec<SecretString>);

impl Credentials {
    /// Those of the kubeconfig, and the `Bearer …` of Grafana.
    pub(super) fn new(auth: &AuthInfo, grafana: Option<&HeaderValue>) -> Self {
        let grafana = grafana.and_then(|value| value.to_str().ok()?.split_whitespace().last().map(SecretString::from));
        let all = auth.token.iter().chain(&auth.password).cloned().chain(grafana);
        Self(all.filter(|secret| secret.expose_secret().trim().len() >= MIN_LENGTH).collect())
    }

    /// An error without them.
    pub(super) fn hide(&self, error: FetchError) -> FetchError {
        match error {
            FetchError::NotFound(message) => FetchError::NotFound(self.hidden(message)),
            FetchError::Expired(message) => FetchError::Expired(self.hidden(message)),
            FetchError::Gap(mut gap) => {
                gap.message = self.hidden(gap.message);
                gap.hint = self.hidden(gap.hint);
                FetchError::Gap(gap)
            }
        }
    }

    fn hidden(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| text.replace(secret.expose_secret().trim(), MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Gap, GapCause};

    #[test]
    fn what_is_sent_is_not_repeated() {
        let auth =
            AuthInfo { token: Some("t0ken".into()), password: Some("pw".to_owned().into()), ..AuthInfo::default() };
        let credentials = Credentials::new(&auth, Some(&HeaderValue::from_static("Bearer glsa_1")));
        let gap = Gap::new("GET /", GapCause::BadAnswer, "no t0ken, no glsa_1, no pw").hint("not t0ken");
        let FetchError::Gap(hidden) = credentials.hide(FetchError::Gap(gap)) else { panic!("it is a gap") };
        assert_eq!(
            (hidden.message.as_str(), hidden.hint.as_str()),
            ("no <redacted>, no <redacted>, no pw", "not <redacted>")
        );
        assert_eq!(credentials.hide(FetchError::NotFound("t0ken".into())), FetchError::NotFound(MASK.to_owned()));
    }
}
