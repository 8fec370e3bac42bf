//! Kubernetes quantities (`100m`, `1Gi`, `2e3`) as numbers.

/// Reads a quantity. Units: `n u m` (10⁻⁹…10⁻³), `k M G T P E` (10³…), `Ki Mi Gi Ti Pi Ei` (1024…), exponents.
///
/// Source: `k8s.io/apimachinery/pkg/api/resource`.
pub fn parse_quantity(text: &str) -> Option<f64> {
    let text = text.trim();
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let number = |t: &str| t.parse::<f64>().ok().filter(|n| n.is_finite());
    if let Some(value) = number(text) {
        return Some(value);
    }
    SUFFIXES.iter().find_map(|(suffix, factor)| Some(number(text.strip_suffix(suffix)?)? * factor))
}

/// Bytes in binary units, one decimal where it says something: `512Mi`, `1.5Gi`.
pub fn format_bytes(bytes: f64) -> String {
    let units = ["", "Ki", "Mi", "Gi", "Ti"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let text = format!("{value:.1}");
    format!("{}{}", text.strip_suffix(".0").unwrap_or(&text), units[unit])
}

/// CPU in cores or millicores: `2`, `250m`.
pub fn format_cpu(cores: f64) -> String {
    let milli = (cores * 1000.0).round();
    if milli % 1000.0 == 0.0 { format!("{}", milli / 1000.0) } else { format!("{milli}m") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_suffix_of_the_api() {
        for (text, value) in
            [("100m", 0.1), ("1Gi", 1_073_741_824.0), ("2e3", 2000.0), ("1E", 1e18), ("3k", 3000.0), ("0", 0.0)]
        {
            assert_eq!(parse_quantity(text), Some(value), "{text}");
        }
        for text in ["", "Gi", "1Zi", "ten", "inf", "NaN"] {
            assert_eq!(parse_quantity(text), None, "{text}");
        }
    }

    #[test]
    fn prints_what_a_manifest_would_say() {
        assert_eq!(format_bytes(536_870_912.0), "512Mi");
        assert_eq!(format_bytes(1_610_612_736.0), "1.5Gi");
        assert_eq!(format_cpu(0.25), "250m");
        assert_eq!(format_cpu(2.0), "2");
    }
}
