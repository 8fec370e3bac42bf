//! Why a program cannot use its object store: told from the error of its client.

/// The family of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StoreFailure {
    /// No AWS credentials, or a role that may not be assumed.
    Credentials,
    /// The identity is known, and may not use the bucket.
    Denied,
    /// The bucket does not exist, or lies in another region.
    Bucket,
    /// The endpoint that is configured for the store is asked for the credentials too: STS is not there.
    Endpoint,
    /// Nobody answers.
    Unreachable,
}

/// Words of the SDKs and of MinIO's client, in the order in which they are looked for.
const WORDS: &[(StoreFailure, &[&str])] = &[
    (
        StoreFailure::Credentials,
        &[
            "NoCredentialProviders",
            "WebIdentityErr",
            "InvalidIdentityToken",
            "failed to retrieve credentials",
            "no EC2 IMDS role found",
            "sts:AssumeRole",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "The AWS Access Key Id you provided",
            "The request signature we calculated",
        ],
    ),
    (StoreFailure::Denied, &["AccessDenied", "is not authorized to perform", "Access Denied"]),
    (
        StoreFailure::Bucket,
        &[
            "NoSuchBucket",
            "PermanentRedirect",
            "BucketRegionError",
            "AuthorizationHeaderMalformed",
            "he authorization header is malformed",
            "BucketNotFound",
            "The specified bucket does not exist",
            "301 Moved Permanently",
        ],
    ),
];

impl StoreFailure {
    /// Reads an error.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
        // Who assumes a role asks STS first: what becomes of that request says more than that there are no credentials.
        let assumes = has(&["WebIdentityErr", "AssumeRoleWithWebIdentity", "failed to retrieve credentials"]);
        if assumes && has(&["failed to unmarshal error message", "MethodNotAllowed", "StatusCode: 405"]) {
            return Some(Self::Endpoint);
        }
        let fails = ["no such host", "i/o timeout", "connection refused", "deadline exceeded", "x509:"];
        if assumes && has(&fails) {
            return Some(Self::Unreachable);
        }
        let said = WORDS.iter().find(|(_, words)| words.iter().any(|w| text.contains(w))).map(|(failure, _)| *failure);
        said.or_else(|| {
            let stores = ["s3", "storage.googleapis.com", "blob.core.windows.net", "minio"];
            (has(&stores) && has(&fails)).then_some(Self::Unreachable)
        })
    }
}

/// The region that is configured and the one that the bucket lies in, where the store names them.
pub(crate) fn regions(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("the region ")?;
    let (configured, rest) = rest.split_once(" is wrong; expecting ")?;
    let quotes = ['\'', '"', '\\'];
    Some((configured.trim_matches(quotes), rest.trim_start_matches(quotes).split(quotes).next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_names_the_region_of_the_bucket() {
        let text = "upload s3 object: The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";
        assert_eq!(StoreFailure::of(text), Some(StoreFailure::Bucket));
        assert_eq!(regions(text), Some(("us-east-1", "eu-west-1")));
        assert_eq!(regions("NoSuchBucket"), None);
    }

    #[test]
    fn tells_what_the_clients_say() {
        for (text, failure) in [
            ("upload 01HN4: Access Denied.", Some(StoreFailure::Denied)),
            ("NoCredentialProviders: no valid providers in chain", Some(StoreFailure::Credentials)),
            ("NoSuchBucket: The specified bucket does not exist", Some(StoreFailure::Bucket)),
            (
                "Put https://b.s3.eu-west-1.amazonaws.com/x: dial tcp 1.2.3.4:443: i/o timeout",
                Some(StoreFailure::Unreachable),
            ),
            (
                "WebIdentityErr: failed to retrieve credentials\\ncaused by: RequestError: send request failed\\ncaused by: Post \"https://sts.amazonaws.com/\": dial tcp 54.239.29.25:443: i/o timeout",
                Some(StoreFailure::Unreachable),
            ),
            (
                "WebIdentityErr: failed to retrieve credentials\\ncaused by: SerializationError: failed to unmarshal error message\\n\\tstatus code: 405, request id: ",
                Some(StoreFailure::Endpoint),
            ),
            (
                "WebIdentityErr: failed to retrieve credentials\\ncaused by: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity",
                Some(StoreFailure::Credentials),
            ),
            ("dial tcp 10.0.0.1:9090: connection refused", None),
        ] {
            assert_eq!(StoreFailure::of(text), failure, "{text}");
        }
    }
}
