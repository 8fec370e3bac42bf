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
    "pw",
    "bindpw",
    "requirepass",
    "masterauth",
    "apitokens",
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
    "jwt",
    "license",
    "master",
    "private",
    "routing",
    "secret",
    "service",
    "shared",
    "signing",
    "user",
];
/// Words before `pass` with which it is no password: `proxy_pass`, `by-pass`.
const PASSES: &[&str] = &["proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached", "by", "all", "first", "second"];
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
    let before = rest.last().map_or("", String::as_str);
    words.iter().any(|w| ANYWHERE.iter().any(|part| w.contains(part)))
        || LAST.contains(&last.as_str())
        || (last == "pass" && !PASSES.contains(&before))
        || (matches!(last.as_str(), "key" | "keys") && KEYS.contains(&before) && (last == "key" || before != "service"))
        || words.windows(2).any(|pair| pair[0] == "secret" && pair[1] == "key")
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
            "PGPASSWORD",
            "DB_PASS",
            "RABBITMQ_DEFAULT_PASS",
            "LDAP_BIND_PW",
            "bindPW",
            "SECRET_KEY_BASE",
            "RAILS_MASTER_KEY",
            "API_KEYS",
            "passwords",
            "requirepass",
        ] {
            assert!(is_credential(key), "{key}");
        }
        for key in [
            "auth_password_file",
            "proxy_pass",
            "fastcgi_pass",
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
