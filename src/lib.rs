//! kdoctor finds the root cause of a broken monitoring stack on Kubernetes and EKS and prints the commands that fix it.
//!
//! The pipeline: [`collect`] reads the cluster, AWS and the monitoring APIs (or a [`bundle`] of them) into a
//! [`snapshot`], which holds facts and gaps; [`checks`] are pure functions over it, and their [`pages`] hold the texts and
//! commands; [`diagnose`] runs the checks, links their findings into root causes and decides the exit code; [`render`]
//! prints the [`model::Report`]; the [`companion`] goes through its fixes with a person.

pub mod bundle;
pub mod checks;
pub mod cli;
pub mod collect;
pub mod commands;
pub mod companion;
pub mod config;
pub mod diagnose;
pub mod domain;
pub mod history;
pub mod lint;
pub mod model;
pub mod pages;
pub mod render;
pub mod signals;
pub mod snapshot;
pub mod term;
mod text;
pub mod why;
