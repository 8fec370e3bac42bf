//! Which keys hold credentials: `auth_password`, `apiKey`, `routing_key`, and slips of these (`app_tokex`).

use strsim::damerau_levenshtein;

/// Words that make a key secret wherever they stand in it.
const ANYWHERE: &[&str] = &["password", "passwd", "passphrase"];
/// Words that make a key secret as its last one.
const LAST: &[&str] = &[
    "secret",
    "secrets",
    "token",
    "credential",
    "credentials",
    "authorization",
    "bearer",
    "cookie",
    "pwd",
    "apikey",
    "apitoken",
    "authtoken",
    "accesstoken",
    "secretkey",
    "accesskey",
    "privatekey",
];
/// Words before `key` that make it secret.
const KEYS: &[&str] = &[
    "access",
    "account",
    "api",
    "app",
    "auth",
    "encryption",
    "integration",
    "license",
    "private",
    "routing",
    "secret",
    "service",
    "shared",
    "signing",
    "user",
];
/// Last words of keys that only say where a secret is, or something about it.
const ABOUT: &[&str] = &[
    "arn",
    "class",
    "controller",
    "count",
    "expiration",
    "expiry",
    "file",
    "files",
    "id",
    "issuer",
    "length",
    "lifetime",
    "mount",
    "name",
    "namespace",
    "path",
    "policy",
    "provider",
    "ref",
    "reviews",
    "rotation",
    "seconds",
    "status",
    "store",
    "type",
    "url",
    "version",
];
/// Words that look like slips of the above and are none.
const OTHER: &[&str] = &["taken", "tokens", "woken", "broken", "secure", "secured", "authorized", "passed", "token"];

/// Whether a key's value is a credential.
pub(crate) fn is_credential(key: &str) -> bool {
    let words = words(key);
    let Some((last, rest)) = words.split_last() else { return false };
    if ABOUT.contains(&last.as_str()) {
        return false;
    }
    words.iter().any(|w| ANYWHERE.contains(&w.as_str()))
        || LAST.contains(&last.as_str())
        || (last == "key" && rest.last().is_some_and(|w| KEYS.contains(&w.as_str())))
}

/// The same for a key that may be misspelt.
pub(crate) fn is_like_credential(key: &str) -> bool {
    if is_credential(key) {
        return true;
    }
    let words = words(key);
    let Some((last, rest)) = words.split_last() else { return false };
    if ABOUT.contains(&last.as_str()) {
        return false;
    }
    let slip = |word: &str, of: &str| {
        let most = if of.len() < 8 { 1 } else { 2 };
        of.len() >= 5
            && word.len() + 1 >= of.len()
            && !OTHER.contains(&word)
            && damerau_levenshtein(word, of) <= most
            && word.chars().next() == of.chars().next()
    };
    let of_key = |word: &str| word == "key" || (word.starts_with('k') && damerau_levenshtein(word, "key") == 1);
    let before = |word: &str| KEYS.contains(&word) || KEYS.iter().any(|known| slip(word, known));
    words.iter().any(|w| ANYWHERE.iter().any(|known| slip(w, known)))
        || LAST.iter().any(|known| slip(last, known))
        || (of_key(last) && rest.last().is_some_and(|w| before(w)))
}

/// The words of `auth_password`, `X-Api-Key`, `apiKey`, `data.admin-password`, in small letters and without numbers at
/// their ends.
fn words(key: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut was_small = false;
    for c in key.chars() {
        let ends = !c.is_alphanumeric() || (c.is_uppercase() && was_small);
        if ends && all.last().is_some_and(|w| !w.is_empty()) {
            all.push(String::new());
        }
        if c.is_alphanumeric() {
            all.last_mut().expect("never empty").extend(c.to_lowercase());
        }
        was_small = c.is_lowercase();
    }
    let plain = all.into_iter().map(|w| w.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned());
    plain.filter(|w| !w.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_hold_credentials() {
        for key in [
            "password",
            "auth_password",
            "smtp_auth_password",
            "GF_SECURITY_ADMIN_PASSWORD",
            "api_key",
            "apiKey",
            "X-Api-Key",
            "routing_key",
            "bearer_token",
            "client_secret",
            "AWS_SECRET_ACCESS_KEY",
            "secrets",
            "credentials",
            "Authorization",
            "aws_session_token",
            "token",
            "user_key",
            "service_key",
            "Set-Cookie",
        ] {
            assert!(is_credential(key), "{key}");
        }
        for key in [
            "auth_password_file",
            "secretName",
            "secret_name",
            "key",
            "config_key",
            "tokens",
            "num_tokens",
            "token-controller",
            "tokenExpirationSeconds",
            "access_key_id",
            "serviceAccountName",
            "secret_ref",
            "client_id",
            "token_url",
            "user",
            "monkey",
            "secretKeyRef",
            "password_policy",
        ] {
            assert!(!is_credential(key), "{key}");
        }
    }

    #[test]
    fn keys_that_are_misspelt() {
        for key in
            ["app_tokex", "pasword", "auth_passwrod", "api_kye", "routng_key", "client_secert", "tokne", "credentails"]
        {
            assert!(is_like_credential(key), "{key}");
        }
        for key in
            ["taken", "tokens", "broken", "secure", "group_key", "time_taken", "route", "receiver", "passed", "key"]
        {
            assert!(!is_like_credential(key), "{key}");
        }
    }
}
