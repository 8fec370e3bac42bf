//! What facts mean: pure and typed, without prose, findings, evidence or templates. Checks and collectors ask it.

pub(crate) mod alertmanager;
pub(crate) mod aws;
pub(crate) mod crash;
pub(crate) mod grafana;
pub(crate) mod kubernetes;
pub(crate) mod loki;
pub(crate) mod manifests;
pub(crate) mod programs;
pub(crate) mod prometheus;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod text;
pub(crate) mod traffic;
