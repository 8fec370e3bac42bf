//! What is replaced, and what stays.

use serde_json::json;

use super::*;

/// What a capture with one pod knows.
fn anonymous() -> Anonymous {
    let mut reading = Reading::default();
    let pods = json!({"items": [{
        "metadata": {"name": "initech-cart-7d5f8c6b9d-x2x4z", "namespace": "initech", "labels": {"team": "Fabrikam"}},
        "spec": {"nodeName": "ip-10-37-4-9.ec2.internal", "containers": [{"image": "quay.io/prometheus/prometheus:v3"}]},
        "status": {"podIP": "10.37.4.7"},
    }]});
    let role = json!({"Role": {"Arn": "arn:aws:iam::210987654321:role/InitechNodes", "RoleName": "InitechNodes"}});
    reading.file("kubernetes/api/v1/pods.json", pods.to_string().as_bytes());
    reading.file("aws/iam/get-role.InitechNodes.json", role.to_string().as_bytes());
    reading.done()
}

#[test]
fn the_same_is_replaced_by_the_same_wherever_it_stands() {
    let mut anonymous = anonymous();
    let name = anonymous.text("initech");
    assert!(name != "initech" && name.bytes().all(|b| b.is_ascii_lowercase()), "{name}");
    let large = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    for (text, new) in [
        ("initech-cart-7d5f8c6b9d-x2x4z", format!("{name}-CART-7d5f8c6b9d-x2x4z")),
        ("http://cart.initech.svc:80/x", format!("http://CART.{name}.svc:80/x")),
        ("say \\\"a\\ninitech_up\\\"", format!("say \\\"a\\n{name}_up\\\"")),
        ("expr=%22initech%22", format!("expr=%22{name}%22")),
        ("INITECH_URL", format!("{}_URL", name.to_uppercase())),
        ("role/InitechNodes of 210987654321", format!("role/{large}Nodes of 000000000001")),
        ("initechs and initech2", format!("{name}s and {name}2")),
    ] {
        let cart = anonymous.text("cart");
        assert_eq!(anonymous.text(text), new.replace("CART", &cart), "{text}");
    }
    let replaced = anonymous.replaced();
    assert_eq!((replaced.words, replaced.accounts), (2, 1));
}

#[test]
fn what_everybody_uses_stays() {
    let mut anonymous = anonymous();
    for text in [
        "quay.io/prometheus/prometheus:v3.2.1@sha256:0123456789abcdef",
        "Readiness probe failed: context deadline exceeded 2026-11-21T00:00:00Z",
        "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy 602401143452",
        "std::io::Error at 12:30:45, 169.254.169.254, 127.0.0.1",
        "kube-system/coredns-5d4f8c7b9d-4x5zq",
    ] {
        assert_eq!(anonymous.text(text), text);
    }
}

/// What a capture with these documents makes of a text.
fn learned_from(documents: &[serde_json::Value], text: &str) -> String {
    let mut reading = Reading::default();
    for document in documents {
        reading.file("kubernetes/api/v1/pods.json", document.to_string().as_bytes());
    }
    reading.done().text(text)
}

#[test]
fn certificates_are_replaced_wherever_they_stand() {
    let mut anonymous = anonymous();
    for separator in ["\n    ", "\\n", "\\\\n"] {
        let begin = format!("ca: |{separator}-----BEGIN CERTIFICATE-----{separator}MIIBinitech{separator}abc");
        let whole = anonymous.text(&format!("{begin}{separator}-----END CERTIFICATE-----{separator}after: 1"));
        assert!(whole.starts_with("ca: |") && whole.ends_with("after: 1"), "{whole}");
        assert!(!whole.contains("MIIB") && !whole.contains("abc"), "{whole}");
        assert_eq!(whole.matches(separator).count(), 5, "{whole}");
        let cut = anonymous.text(&begin);
        assert!(!cut.contains("MIIB") && cut.ends_with("-----END CERTIFICATE-----"), "{cut}");
    }
    let packed = anonymous.text("caBundle: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJpbml0ZWNo, x: 1");
    assert_eq!(packed, format!("caBundle: {CERTIFICATE}, x: 1"));
}

#[test]
fn names_are_learned_from_what_holds_them() {
    for (document, text, leaks) in [
        (json!({"url": "http://cart.prod.initech/x"}), "prod.initech", "initech"),
        (json!({"metadata": {"namespace": "parker"}}), "of parker", "parker"),
        (json!({"metadata": {"labels": {"initech_team": "x"}}}), "by (initech_team)", "initech"),
        (json!({"metadata": {"labels": {"team.initech/x": "y"}}}), "team.initech/x", "initech"),
        (json!({"config": "a: 1\nlabels:\n  initech_zone: b\nc: 2"}), "initech_zone", "initech"),
        (json!({"createdBy": "made by the hands of Walter Fabrikam"}), "fabrikam", "fabrikam"),
        (json!({"tenant_id": "initech"}), "initechdb01 and db02initech", "initech"),
        (json!({"namespace": "zkzq", "user": "fabrikam"}), "fabrikamzkzq2", "zkzq"),
        (json!({"image": "210987654321.dkr.ecr-fips.us-east-1.amazonaws.com/a"}), "210987654321", "210987"),
        (json!({"image": "210987654321.dkr-ecr.us-east-1.on.aws/a"}), "210987654321", "210987"),
        (json!({"q": "https://sqs.eu-west-1.amazonaws.com/210987654321/initech"}), "210987654321 initech", "210987"),
        (json!({"bucketName": "initech210987654321"}), "s3://initech210987654321/x", "210987"),
        (json!({"log": "level=error msg=\"failed\" user=fabrikam host=a-1"}), "of fabrikam", "fabrikam"),
        (json!({"log": "2026-11-21T02:50:00Z {\"user\": \"fabrikam\"}"}), "of fabrikam", "fabrikam"),
        (json!({"url": "https://x.example/a?b=1&tenant=initech&c=2"}), "of initech", "initech"),
        (json!({"url": "https://x.example/a?q=fabrikam%40x.example"}), "of fabrikam", "fabrikam"),
        (json!({"path": "open /home/fabrikam/x: no such file"}), "of fabrikam", "fabrikam"),
        (json!({"metadata": {"annotations": {"example.org/owner": "w.fabrikam"}}}), "of fabrikam", "fabrikam"),
        (json!({"last": "{\"by\": \"w.fabrikam\"}"}), "of fabrikam", "fabrikam"),
    ] {
        let new = learned_from(&[document], text);
        assert!(!new.to_lowercase().contains(leaks), "{text}: {new}");
    }
}

#[test]
fn what_is_looked_for_by_a_slip_of_a_word_stays() {
    let selector = json!({"spec": {"selector": {"matchLabels": {"app": "promethues"}}}});
    assert_eq!(learned_from(&[selector], "app=promethues"), "app=promethues");
    let id = json!({"metadata": {"name": "pvc-1a2b3c4d-beef-abcd-fade-0123456789ab"}});
    assert_eq!(learned_from(&[id], "beef fade"), "beef fade");
}

#[test]
fn names_made_of_addresses_follow_them() {
    let mut anonymous = anonymous();
    let address = anonymous.text("10.37.4.9");
    assert!(address.starts_with("10.") && address.ends_with(".9"), "{address}");
    let host = anonymous.text("ip-10-37-4-9.ec2.internal");
    assert_eq!(host, format!("ip-{}.ec2.internal", address.replace('.', "-")));
    assert_eq!(anonymous.text("http://10.37.4.9:9100/metrics"), format!("http://{address}:9100/metrics"));
}

#[test]
fn ids_of_aws_keep_their_form() {
    let mut anonymous = anonymous();
    let text =
        "vpc-0b89143b4397e00e6 i-1234abcd https://3E33CA3C84B96A12EFBA580AE555782F.gr7.eu-west-1.eks.amazonaws.com";
    let new = anonymous.text(text);
    assert!(new.starts_with("vpc-") && new.contains(" i-") && new.len() == text.len(), "{new}");
    for old in ["0b89143b4397e00e6", "1234abcd", "3E33CA3C84B96A12EFBA580AE555782F"] {
        assert!(!new.contains(old), "{new}");
    }
    assert_eq!(anonymous.text(text), new);
    assert_eq!(anonymous.replaced().ids, 3);
}
