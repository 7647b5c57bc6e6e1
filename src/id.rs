//! Names of things: `job_01h2xcejqtf2nbrexx3vqjhp41`.
//!
//! Every id is a [TypeID](https://github.com/jetify-com/typeid/tree/main/spec): a prefix that
//! says what it names, and a version 7 UUID in lower-case base32, so that ids sort by the time they
//! were made and one kind of id cannot be passed for another.

use std::borrow::Cow;

use type_safe_id::{StaticType, TypeSafeId};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::{NoContext, Timestamp as UuidTimestamp, Uuid};

use crate::clock::Timestamp;

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident = $tag:ident($prefix:literal);)+) => {$(
        #[doc = concat!("The type behind the prefix `", $prefix, "_`; carries the schema of its ids.")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $tag;

        impl StaticType for $tag {
            const TYPE: &'static str = $prefix;
        }

        impl PartialSchema for $tag {
            fn schema() -> RefOr<Schema> {
                schema_of($prefix)
            }
        }

        impl ToSchema for $tag {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }

        $(#[$doc])+
        pub type $name = TypeSafeId<$tag>;
    )+};
}

ids! {
    /// A job: what was asked.
    JobId = JobTag("job");
    /// A task or a stage of one.
    TaskId = TaskTag("task");
    /// Jobs submitted together for one input.
    BatchId = BatchTag("batch");
    /// The end of a job, told to receivers as `webhook-id`.
    EventId = EventTag("evt");
    /// One event on its way to one receiver.
    DeliveryId = DeliveryTag("dlv");
    /// One HTTP request, as in `x-request-id`.
    RequestId = RequestTag("req");
    /// A bucket of a user's own and the keys to it.
    ConnectionId = ConnectionTag("conn");
    /// A file that a caller has sent.
    UploadId = UploadTag("upl");
    /// One worker process, from its start to its end.
    WorkerId = WorkerTag("wrk");
    /// A key of the API.
    KeyId = KeyTag("key");
    /// One line of the audit log.
    AuditId = AuditTag("aud");
}

/// How such an id looks in the API's document.
fn schema_of(prefix: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$")))
        .examples([format!("{prefix}_01h2xcejqtf2nbrexx3vqjhp41")])
        .into()
}

/// A new id made at `now`: later ids sort after earlier ones.
#[must_use]
pub fn fresh<T: StaticType + Default>(now: Timestamp) -> TypeSafeId<T> {
    let millis = now.millis().max(0).unsigned_abs();
    let time = UuidTimestamp::from_unix(
        NoContext,
        millis / 1000,
        u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000,
    );
    TypeSafeId::from_uuid(Uuid::new_v7(time))
}

/// The first id that can be made at `now`: whatever is made from then on sorts after it.
#[must_use]
pub fn first_of<T: StaticType + Default>(now: Timestamp) -> TypeSafeId<T> {
    let millis = u128::from(now.millis().max(0).unsigned_abs());
    TypeSafeId::from_uuid(Uuid::from_u128(millis << 80))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_its_prefix_and_26_characters_and_reads_back() {
        let id: JobId = fresh(Timestamp::from_millis(1_764_000_000_000));
        let text = id.to_string();
        assert!(text.starts_with("job_"), "{text}");
        assert_eq!(text.len(), "job_".len() + 26);
        assert_eq!(text.parse::<JobId>().ok(), Some(id));
        assert!(text.parse::<TaskId>().is_err());
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let early: JobId = fresh(Timestamp::from_millis(1));
        let late: JobId = fresh(Timestamp::from_millis(2));
        assert!(early.to_string() < late.to_string());
        let first: JobId = first_of(Timestamp::from_millis(2));
        assert!(early.to_string() < first.to_string() && first.to_string() < late.to_string());
    }
}
