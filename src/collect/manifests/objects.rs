//! What keeps a document from being an object of a cluster at all, and values that it cannot have.

use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};

use crate::domain::manifests::given::is_encrypted;
use crate::lint::kubernetes;
use crate::lint::yaml::Node;
use crate::snapshot::manifests::NotEncoded;

/// Keys at the top of objects.
const OF_OBJECTS: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "data",
    "stringData",
    "binaryData",
    "type",
    "rules",
    "roleRef",
    "subjects",
    "immutable",
];

/// Of an object that lacks its kind or its version: kubectl refuses it.
pub(super) fn half(document: &Node) -> Option<String> {
    let keys = document.entries()?.iter().map(|(k, _)| k.as_str());
    let named = document.at(&["metadata", "name"]).and_then(Node::as_str).is_some();
    if !named || !keys.into_iter().all(|key| key.is_some_and(|key| OF_OBJECTS.contains(&key))) {
        return None;
    }
    let text = |key: &str| document.get(key).and_then(Node::as_str).filter(|text| !text.is_empty());
    // Others have kinds without a version, too.
    match (text("apiVersion"), text("kind")) {
        (Some(version), None) if kubernetes::is_version(version) => {
            Some("an object needs a kind beside its apiVersion; add it, this object was not judged".to_owned())
        }
        (None, Some(kind)) if kubernetes::is_kind(kind) => {
            Some("an object needs an apiVersion beside its kind; add it, this object was not judged".to_owned())
        }
        _ => None,
    }
}

/// As the API server decodes: bits behind the last byte are left alone.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Values of Secrets that an API server cannot decode. What something else fills in is left alone.
pub(super) fn not_encoded(documents: &[Node]) -> Vec<NotEncoded> {
    let mut found = Vec::new();
    for document in documents {
        if let Some(items) = document.get("items").and_then(Node::items) {
            found.extend(not_encoded(items));
        }
        let is_secret = document.get("kind").and_then(Node::as_str) == Some("Secret")
            && document.get("apiVersion").and_then(Node::as_str) == Some("v1");
        let name = document.at(&["metadata", "name"]).and_then(Node::as_str);
        let (Some(name), true) = (name, is_secret && !is_encrypted(document)) else { continue };
        for (key, value) in document.get("data").and_then(Node::entries).unwrap_or_default() {
            let (Some(key), Some(text)) = (key.as_str(), value.as_str()) else { continue };
            let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            // `TOKEN` and `vault:2:x` are names of what a pipeline puts there.
            let is_name = bare.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            let is_reference = bare.contains(':') && !bare.contains("://") && bare == text;
            let filled_in = bare.contains(['$', '{', '<', '[', '*']) || is_name || is_reference;
            if !filled_in && LENIENT.decode(&bare).is_err() {
                found.push(NotEncoded { secret: name.to_owned(), key: key.to_owned(), place: value.place });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;

    fn node(text: &str) -> Node {
        yaml::document(text).expect("is YAML").expect("is not empty")
    }

    #[test]
    fn half_an_object_is_no_file_of_values() {
        for (text, lacks) in [
            ("apiVersion: v1\nmetadata: {name: a}\ndata: {}\n", "a kind"),
            ("kind: Service\nmetadata: {name: a}\nspec: {}\n", "an apiVersion"),
            ("apiVersion: v1\nkind: [Service]\nmetadata: {name: a}\n", "a kind"),
        ] {
            assert!(half(&node(text)).is_some_and(|said| said.contains(lacks)), "{text}");
        }
        for other in [
            "kind: DaemonSet\nmetadata: {name: a}\nimage: {tag: a}\n",
            "resources: [a.yaml]\n",
            "kind: Dashboard\nmetadata: {name: a}\nspec: {}\n",
            "apiVersion: 1\ndatasources: []\n",
        ] {
            assert_eq!(half(&node(other)), None, "{other}");
        }
    }

    #[test]
    fn values_of_secrets_are_encoded() {
        let of = |data: &str| {
            let secret = node(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{{data}}}\n"));
            not_encoded(&[secret]).into_iter().map(|n| n.key).collect::<Vec<_>>()
        };
        assert_eq!(of("a: aGVsbG8=, b: hello there, c: ''"), ["b"]);
        assert_eq!(of("a: aGVsbG9="), Vec::<String>::new(), "bits that nobody reads");
        assert_eq!(of("a: API_TOKEN, b: \"vault:2:x\", c: \"https://example.org/x\""), ["c"]);
        assert_eq!(of("a: \"${PASSWORD}\", b: \"<path:x#y>\", c: \"ENC[AES256_GCM]\", d: '***'"), Vec::<String>::new());
    }
}
