//! Values that a comparison leaves.

use promql_parser::parser::token::{T_EQLC, T_GTE, T_GTR, T_LSS, T_LTE};

/// Values that a comparison leaves.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) from: f64,
    pub(super) with_from: bool,
    pub(super) to: f64,
    pub(super) with_to: bool,
}

impl Range {
    pub(super) fn of(op: u16, number: f64) -> Option<Self> {
        let (least, most) = (f64::NEG_INFINITY, f64::INFINITY);
        Some(match op {
            T_GTR => Self { from: number, with_from: false, to: most, with_to: true },
            T_GTE => Self { from: number, with_from: true, to: most, with_to: true },
            T_LSS => Self { from: least, with_from: true, to: number, with_to: false },
            T_LTE => Self { from: least, with_from: true, to: number, with_to: true },
            T_EQLC => Self { from: number, with_from: true, to: number, with_to: true },
            _ => return None,
        })
    }

    pub(super) fn holds(self, value: f64) -> bool {
        let above = value > self.from || (self.with_from && value >= self.from);
        let below = value < self.to || (self.with_to && value <= self.to);
        above && below
    }

    pub(super) fn meets(self, other: Self) -> bool {
        let before = |a: Self, b: Self| a.to > b.from || (a.to >= b.from && a.with_to && b.with_from);
        before(self, other) && before(other, self)
    }
}
