//! What lasts, and what does not.

use super::*;
use crate::lint::yaml;
use crate::snapshot::Listing;

fn told(files: &[(&str, &str)]) -> Vec<String> {
    let read = |(path, text): &(&str, &str)| {
        let mut file = ManifestFile::new(*path, *text);
        for document in yaml::documents(text).expect("is YAML") {
            file.add(document, true);
        }
        file
    };
    let mut snap = Snapshot::empty("2026-11-21T00:00:00Z".parse().expect("a time"));
    snap.manifests = Listing::cluster(files.iter().map(read).collect());
    let all = of(&snap);
    all.iter().flat_map(|f| f.problems.iter().map(|(_, p)| format!("{}: {}", p.path, p.message))).collect()
}

fn custom(kind: &str, spec: &str) -> String {
    format!("apiVersion: monitoring.coreos.com/v1\nkind: {kind}\nmetadata: {{name: k}}\nspec: {spec}\n")
}

#[test]
fn objects_of_the_operator_want_a_claim_template() {
    let one = |kind, spec| told(&[("p.yaml", &custom(kind, spec))]).len();
    assert_eq!(one("Prometheus", "{replicas: 2}"), 1);
    assert_eq!(one("Prometheus", "{storage: {emptyDir: {medium: Memory}}}"), 1);
    assert_eq!(one("Alertmanager", "{replicas: 1}"), 1);
    for (kind, quiet) in [
        ("Prometheus", "{storage: {volumeClaimTemplate: {spec: {}}}}"),
        ("Prometheus", "{remoteWrite: [{url: http://x}]}"),
        ("Prometheus", "{thanos: {objectStorageConfig: {name: a, key: b}}}"),
        ("Alertmanager", "{replicas: 3}"),
        ("PrometheusAgent", "{replicas: 1}"),
    ] {
        assert_eq!(one(kind, quiet), 0, "{quiet}");
    }
    // An overlay may bring it.
    let beside = ("kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n");
    assert_eq!(told(&[("p.yaml", &custom("Prometheus", "{replicas: 2}")), beside]).len(), 0);
}

#[test]
fn values_of_charts_switch_volumes_on_and_off() {
    let of = |text: &str| told(&[("values.yaml", text)]);
    let stack =
        of("prometheus: {prometheusSpec: {retention: 10d}}\nalertmanager: {alertmanagerSpec: {retention: 1h}}\n");
    assert_eq!(stack.len(), 2, "{stack:?}");
    assert!(
        stack[0].starts_with("prometheus.prometheusSpec.storageSpec: without storageSpec, Prometheus keeps"),
        "{stack:?}"
    );
    assert!(
        stack[1].starts_with("alertmanager.alertmanagerSpec.storage: without storage, Alertmanager keeps"),
        "{stack:?}"
    );
    for quiet in [
        "prometheus: {prometheusSpec: {storageSpec: {volumeClaimTemplate: {spec: {}}}}}\n",
        "prometheus: {enabled: false, prometheusSpec: {retention: 1d}}\n",
        "prometheus: {agentMode: true, prometheusSpec: {retention: 1d}}\n",
        "prometheus: {prometheusSpec: {remoteWrite: [{url: x}]}}\nalertmanager: {enabled: false, alertmanagerSpec: {a: b}}\n",
    ] {
        assert_eq!(of(quiet), [] as [&str; 0], "{quiet}");
    }
    let two = told(&[
        ("base.yaml", "prometheus: {prometheusSpec: {storageSpec: {volumeClaimTemplate: {spec: {}}}}}\n"),
        ("dev.yaml", "prometheus: {prometheusSpec: {retention: 1d}}\n"),
    ]);
    assert_eq!(two, [] as [&str; 0]);
}

#[test]
fn the_chart_tells_whose_persistence_it_is() {
    let release = |chart: &str, values: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: r}}\nspec: {{chart: {{spec: {{chart: {chart}}}}}, values: {values}}}\n"
        )
    };
    let of = |chart: &str, values: &str| told(&[("r.yaml", &release(chart, values))]).len();
    assert_eq!(of("grafana", "{adminUser: a}"), 1);
    assert_eq!(of("grafana", "{persistence: {enabled: true}}"), 0);
    assert_eq!(of("grafana", "{sidecar: {dashboards: {enabled: true}}}"), 0);
    assert_eq!(of("grafana", "{grafana.ini: {database: {type: postgres}}}"), 0);
    assert_eq!(of("prometheus", "{server: {persistentVolume: {enabled: false}}}"), 1);
    assert_eq!(of("prometheus", "{server: {retention: 1d}}"), 0);
    assert_eq!(of("prometheus", "{server: {persistentVolume: {enabled: false}, remoteWrite: [{url: x}]}}"), 0);
    assert_eq!(of("loki", "{singleBinary: {persistence: {enabled: false}}}"), 1);
    for quiet in [
        "{singleBinary: {replicas: 0, persistence: {enabled: false}}}",
        "{deploymentMode: SimpleScalable, singleBinary: {persistence: {enabled: false}}}",
    ] {
        assert_eq!(of("loki", quiet), 0, "{quiet}");
    }
    assert_eq!(of("loki", "{loki: {storage: {type: s3}}, singleBinary: {persistence: {enabled: false}}}"), 0);
    assert_eq!(of("loki-stack", "{promtail: {enabled: true}}"), 1);
    assert_eq!(of("loki-stack", "{loki: {persistence: {enabled: true}}}"), 0);
    assert_eq!(of("other", "{persistence: {enabled: false}}"), 0);
}

#[test]
fn workloads_mount_their_data() {
    let with = |image: &str, volume: &str, more: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: p}}\nspec:\n  template:\n    spec:\n      containers:\n      - name: p\n        image: {image}\n        volumeMounts: [{{name: d, mountPath: /prometheus}}, {{name: g, mountPath: /var/lib/grafana}}]\n{more}      volumes: [{{name: d, {volume}}}, {{name: g, {volume}}}]\n"
        )
    };
    let of = |image: &str, volume: &str, more: &str| told(&[("d.yaml", &with(image, volume, more))]);
    let found = of("prom/prometheus:v3.5.0", "emptyDir: {}", "");
    assert!(found.len() == 1 && found[0].starts_with("spec.template.spec.volumes[0]: "), "{found:?}");
    assert_eq!(of("prom/prometheus:v3.5.0", "persistentVolumeClaim: {claimName: a}", ""), [] as [&str; 0]);
    assert_eq!(of("prom/prometheus:v3.5.0", "emptyDir: {}", "        args: [--agent]\n"), [] as [&str; 0]);
    assert_eq!(of("grafana/grafana:12.0.0", "emptyDir: {}", "").len(), 1);
    let env = "        env: [{name: GF_DATABASE_HOST, value: db}]\n";
    assert_eq!(of("grafana/grafana:12.0.0", "emptyDir: {}", env), [] as [&str; 0]);
    assert_eq!(of("nginx:1", "emptyDir: {}", ""), [] as [&str; 0]);
}

#[test]
fn loki_in_files_wants_a_volume() {
    let config = |store: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  loki.yaml: |\n    common: {{path_prefix: /loki}}\n    schema_config: {{configs: [{{object_store: {store}}}]}}\n"
        )
    };
    let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: l}\nspec:\n  template:\n    spec:\n      containers:\n      - name: l\n        image: grafana/loki:3.5.0\n        volumeMounts: [{name: d, mountPath: /loki}, {name: c, mountPath: /etc/loki}]\n      volumes: [{name: d, emptyDir: {}}, {name: c, configMap: {name: c}}]\n";
    assert_eq!(told(&[("c.yaml", &config("filesystem")), ("l.yaml", set)]).len(), 1);
    assert_eq!(told(&[("c.yaml", &config("s3")), ("l.yaml", set)]), [] as [&str; 0]);
}
