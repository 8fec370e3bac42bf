//! Metrics and labels that exporters call by another name today.

/// Metrics by the name they had, and what takes their place. Where a label tells them apart now, it is in the new name.
const RENAMED: &[(&str, &str)] = &[
    // kube-state-metrics 2.0
    ("kube_pod_container_resource_requests_cpu_cores", "kube_pod_container_resource_requests{resource=\"cpu\"}"),
    ("kube_pod_container_resource_requests_memory_bytes", "kube_pod_container_resource_requests{resource=\"memory\"}"),
    ("kube_pod_container_resource_limits_cpu_cores", "kube_pod_container_resource_limits{resource=\"cpu\"}"),
    ("kube_pod_container_resource_limits_memory_bytes", "kube_pod_container_resource_limits{resource=\"memory\"}"),
    ("kube_node_status_capacity_cpu_cores", "kube_node_status_capacity{resource=\"cpu\"}"),
    ("kube_node_status_capacity_memory_bytes", "kube_node_status_capacity{resource=\"memory\"}"),
    ("kube_node_status_capacity_pods", "kube_node_status_capacity{resource=\"pods\"}"),
    ("kube_node_status_allocatable_cpu_cores", "kube_node_status_allocatable{resource=\"cpu\"}"),
    ("kube_node_status_allocatable_memory_bytes", "kube_node_status_allocatable{resource=\"memory\"}"),
    ("kube_node_status_allocatable_pods", "kube_node_status_allocatable{resource=\"pods\"}"),
    ("kube_hpa_labels", "kube_horizontalpodautoscaler_labels"),
    ("kube_hpa_metadata_generation", "kube_horizontalpodautoscaler_metadata_generation"),
    ("kube_hpa_spec_max_replicas", "kube_horizontalpodautoscaler_spec_max_replicas"),
    ("kube_hpa_spec_min_replicas", "kube_horizontalpodautoscaler_spec_min_replicas"),
    ("kube_hpa_spec_target_metric", "kube_horizontalpodautoscaler_spec_target_metric"),
    ("kube_hpa_status_condition", "kube_horizontalpodautoscaler_status_condition"),
    ("kube_hpa_status_current_replicas", "kube_horizontalpodautoscaler_status_current_replicas"),
    ("kube_hpa_status_desired_replicas", "kube_horizontalpodautoscaler_status_desired_replicas"),
    // node-exporter 0.16
    ("node_cpu", "node_cpu_seconds_total"),
    ("node_boot_time", "node_boot_time_seconds"),
    ("node_memory_MemAvailable", "node_memory_MemAvailable_bytes"),
    ("node_memory_MemFree", "node_memory_MemFree_bytes"),
    ("node_memory_MemTotal", "node_memory_MemTotal_bytes"),
    ("node_memory_Buffers", "node_memory_Buffers_bytes"),
    ("node_memory_Cached", "node_memory_Cached_bytes"),
    ("node_filesystem_avail", "node_filesystem_avail_bytes"),
    ("node_filesystem_free", "node_filesystem_free_bytes"),
    ("node_filesystem_size", "node_filesystem_size_bytes"),
    ("node_network_receive_bytes", "node_network_receive_bytes_total"),
    ("node_network_transmit_bytes", "node_network_transmit_bytes_total"),
    ("node_disk_bytes_read", "node_disk_read_bytes_total"),
    ("node_disk_bytes_written", "node_disk_written_bytes_total"),
    ("node_disk_io_time_ms", "node_disk_io_time_seconds_total"),
    // Kubernetes itself
    ("kubelet_running_pod_count", "kubelet_running_pods"),
    ("kubelet_running_container_count", "kubelet_running_containers"),
    ("apiserver_request_count", "apiserver_request_total"),
    ("etcd_object_counts", "apiserver_storage_objects"),
    // CoreDNS 1.7
    ("coredns_dns_request_count_total", "coredns_dns_requests_total"),
    ("coredns_dns_response_rcode_count_total", "coredns_dns_responses_total"),
    ("coredns_forward_request_count_total", "coredns_forward_requests_total"),
    ("coredns_forward_response_rcode_count_total", "coredns_forward_responses_total"),
    ("coredns_panic_count_total", "coredns_panics_total"),
    // Prometheus
    ("prometheus_remote_storage_failed_samples_total", "prometheus_remote_storage_samples_failed_total"),
    ("prometheus_remote_storage_dropped_samples_total", "prometheus_remote_storage_samples_dropped_total"),
    ("prometheus_remote_storage_retried_samples_total", "prometheus_remote_storage_samples_retried_total"),
    ("prometheus_remote_storage_pending_samples", "prometheus_remote_storage_samples_pending"),
];

/// Labels that the kubelet's cAdvisor no longer has (Kubernetes 1.16), and what they are called.
const CONTAINER_LABELS: &[(&str, &str)] = &[("pod_name", "pod"), ("container_name", "container")];

/// What a metric is called now.
pub(crate) fn metric(old: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(name, _)| *name == old).map(|(_, now)| *now)
}

/// What a label of a metric is called now.
pub(crate) fn label(metric: &str, label: &str) -> Option<&'static str> {
    let of_cadvisor = metric.starts_with("container_");
    CONTAINER_LABELS.iter().find(|(old, _)| of_cadvisor && *old == label).map(|(_, now)| *now)
}

/// The name of a metric without the labels that go with it.
pub(crate) fn bare(metric: &str) -> &str {
    metric.split('{').next().unwrap_or(metric)
}
