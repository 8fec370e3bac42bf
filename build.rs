//! Pages and demos are embedded: a new file must lead to a new build.

fn main() {
    println!("cargo::rerun-if-changed=checks");
    println!("cargo::rerun-if-changed=fixtures/demo");
}
