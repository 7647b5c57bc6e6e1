//! Whose job it is and how urgent: what decides when its turn comes.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::access::Caller;

/// How urgent a job is: −10 (last) to 10 (first), 0 when nothing is said.
///
/// A more urgent job is claimed before all less urgent ones that wait in the same lane.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct Priority(i8);

impl Priority {
    /// The most urgent.
    pub const MAX: Self = Self(10);

    /// The number, −10 to 10.
    #[must_use]
    pub const fn get(self) -> i8 {
        self.0
    }

    /// Whether it is what jobs have that say nothing.
    #[must_use]
    pub const fn is_usual(&self) -> bool {
        self.0 == 0
    }

    /// The place in a queue that is sorted upwards: 0 for the most urgent, 20 for the least.
    #[must_use]
    pub fn urgency(self) -> i64 {
        i64::from(Self::MAX.0 - self.0)
    }
}

impl PartialSchema for Priority {
    fn schema() -> RefOr<Schema> {
        let most = f64::from(Self::MAX.0);
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("How urgent the job is: -10 (last) to 10 (first), usually 0."))
            .minimum(Some(-most))
            .maximum(Some(most))
            .into()
    }
}

impl ToSchema for Priority {}

impl TryFrom<i64> for Priority {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match i8::try_from(number) {
            Ok(number) if (-Self::MAX.0..=Self::MAX.0).contains(&number) => Ok(Self(number)),
            _ => Err("a priority is a whole number from -10 (last) to 10 (first)"),
        }
    }
}

impl From<Priority> for i64 {
    fn from(priority: Priority) -> Self {
        priority.0.into()
    }
}

/// Who asked for a job: the public name of an API key, empty where none was needed.
///
/// Owners take turns in the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(String);

impl Owner {
    /// The owner with this name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whose key it is takes the turn.
impl From<&Caller> for Owner {
    fn from(caller: &Caller) -> Self {
        Self::named(caller.key.as_str())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_from_minus_ten_to_ten_and_the_highest_comes_first() {
        let priorities: Vec<_> =
            (-10..=10).map(|n| Priority::try_from(n).expect("valid")).collect();
        assert!(priorities.windows(2).all(|pair| pair[0].urgency() > pair[1].urgency()));
        assert_eq!(Priority::MAX.urgency(), 0);
        for number in [-11, 11, 1000, i64::MIN, i64::MAX] {
            assert!(Priority::try_from(number).is_err(), "{number}");
        }
    }
}
