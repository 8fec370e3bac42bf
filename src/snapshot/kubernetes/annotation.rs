//! Annotations that are kept, by name: whoever reads one names it here, so that none is read that was dropped.

macro_rules! kept {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        /// Names that are read one by one.
        const NAMES: &[&str] = &[$($text),*];
    };
}

kept! {
    /// IAM role that a ServiceAccount asks for (IRSA).
    ROLE_ARN = "eks.amazonaws.com/role-arn";
    /// Helm release of an object.
    HELM_RELEASE = "meta.helm.sh/release-name";
    /// Namespace of the Helm release.
    HELM_NAMESPACE = "meta.helm.sh/release-namespace";
    /// When an install or upgrade of Helm makes the object: `pre-install`, `post-upgrade`.
    HELM_HOOK = "helm.sh/hook";
    /// Application of Argo CD.
    ARGO_TRACKING = "argocd.argoproj.io/tracking-id";
    /// When a sync of Argo CD makes the object: `PreSync`.
    ARGO_HOOK = "argocd.argoproj.io/hook";
    /// Pods with this annotation have security groups of their own.
    POD_ENI = "vpc.amazonaws.com/pod-eni";
    /// Path that discovery by annotations scrapes.
    SCRAPE_PATH = "prometheus.io/path";
    /// Port that discovery by annotations scrapes.
    SCRAPE_PORT = "prometheus.io/port";
    /// Node that was chosen for a claim's volume.
    SELECTED_NODE = "volume.kubernetes.io/selected-node";
    /// Class of a claim, as before Kubernetes 1.6.
    CLAIM_CLASS = "volume.beta.kubernetes.io/storage-class";
    /// Provisioner that made a volume.
    PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
    /// Default StorageClass.
    DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";
    /// The same of before.
    DEFAULT_CLASS_BETA = "storageclass.beta.kubernetes.io/is-default-class";
    /// Class of an Ingress, as before Kubernetes 1.18.
    INGRESS_CLASS = "kubernetes.io/ingress.class";
    /// Version of the operator whose CRD it is.
    OPERATOR_VERSION = "operator.prometheus.io/version";
    /// What the LimitRanges of the namespace gave to the containers of a pod.
    LIMIT_RANGER = "kubernetes.io/limit-ranger";
    /// Number of the revision of a Deployment that a ReplicaSet is.
    REVISION = "deployment.kubernetes.io/revision";
    /// Role of Vault that the agent of a pod logs in with.
    VAULT_ROLE = "vault.hashicorp.com/role";
    /// Where the method is mounted that it logs in with: `auth/kubernetes` where it is not set.
    VAULT_AUTH_PATH = "vault.hashicorp.com/auth-path";
    /// What policies of Kyverno changed of an object on its way in.
    KYVERNO_PATCHES = "policies.kyverno.io/last-applied-patches";
    /// Certificate of cert-manager whose authority a webhook's configuration gets: namespace and name.
    INJECT_CA = "cert-manager.io/inject-ca-from";
    /// Default IngressClass.
    DEFAULT_INGRESS_CLASS = "ingressclass.kubernetes.io/is-default-class";
    /// The host that ingress-nginx names to what is behind it, in place of the one that was asked for.
    NGINX_VHOST = "nginx.ingress.kubernetes.io/upstream-vhost";
    /// Buffer of ingress-nginx for the header of an answer.
    NGINX_BUFFER = "nginx.ingress.kubernetes.io/proxy-buffer-size";
    /// The largest request that ingress-nginx lets through.
    NGINX_BODY = "nginx.ingress.kubernetes.io/proxy-body-size";
    /// Seconds for which ingress-nginx waits for an answer.
    NGINX_WAIT = "nginx.ingress.kubernetes.io/proxy-read-timeout";
}

/// Beginnings of annotations that are read by their prefix, or as a group.
const PREFIXES: &[&str] = &[
    // Also with a slip in what follows: nobody reads it then.
    "alb.ingress.",
    "argocd.argoproj.io/",
    "cert-manager.io/",
    "checksum/",
    "controller-gen.kubebuilder.io/",
    "eks.amazonaws.com/",
    "helm.sh/",
    "ingressclass.kubernetes.io/",
    "instrumentation.opentelemetry.io/inject-",
    "kubectl.kubernetes.io/restartedAt",
    "kubernetes.io/ingress",
    "kustomize.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "operator.prometheus.io/",
    "prometheus.io/",
    "pv.kubernetes.io/",
    "service.beta.kubernetes.io/aws-load-balancer",
    "sidecar.opentelemetry.io/inject",
    "storageclass.",
    "volume.",
];

/// What kubectl keeps of the last manifest, a whole object; it is dropped.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether an annotation is kept: others can be large ([`LAST_APPLIED`]).
pub fn is_kept(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
