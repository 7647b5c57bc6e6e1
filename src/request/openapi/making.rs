//! What is made or done, by kind: the schemas of `kind` and `options`.

use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{Discriminator, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::requests::{Schemas, named, or_null, register};
use crate::job::Kind;
use crate::job::options::{
    AdaptiveOptions, AnimationOptions, AudioOptions, ExportOptions, ImageOptions, ImportOptions,
    ProbeOptions, VideoOptions,
};

/// What is made: a `kind`, and the `options` that belong to it.
pub(in crate::request) struct Making;

/// What a task does: the kinds of jobs, and those that are tasks alone.
pub(in crate::request) struct Doing;

impl Making {
    /// The schema's name for one kind: `VideoMaking`.
    fn name_of(kind: Kind) -> String {
        let words = kind.name().split('_').map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_uppercase() + rest
        });
        words.collect::<String>() + "Making"
    }

    /// The options of a kind, by name, with whether they can be left out.
    pub(super) fn options_of(kind: Kind, schemas: &mut Schemas) -> (Ref, bool) {
        let (name, schema) = match kind {
            Kind::Video => register::<VideoOptions>(schemas),
            Kind::Audio => register::<AudioOptions>(schemas),
            Kind::Image => register::<ImageOptions>(schemas),
            Kind::Animation => register::<AnimationOptions>(schemas),
            Kind::AdaptiveVideo => register::<AdaptiveOptions>(schemas),
            Kind::Probe => register::<ProbeOptions>(schemas),
            Kind::Import => register::<ImportOptions>(schemas),
            Kind::Export => register::<ExportOptions>(schemas),
        };
        let can_be_left_out = match schema {
            RefOr::T(Schema::Object(object)) => object.required.is_empty(),
            _ => false,
        };
        (Ref::from_schema_name(name), can_be_left_out)
    }

    pub(super) fn of(kind: Kind, schemas: &mut Schemas) -> RefOr<Schema> {
        let (options, can_be_left_out) = Self::options_of(kind, schemas);
        let making = ObjectBuilder::new().property("kind", named(kind)).required("kind");
        if can_be_left_out {
            making.property("options", or_null(options)).into()
        } else {
            making.property("options", options).required("options").into()
        }
    }

    fn one_of(kinds: &[Kind], description: &str) -> RefOr<Schema> {
        let names: Vec<_> = kinds.iter().map(|kind| (kind.name(), Self::name_of(*kind))).collect();
        let mapping =
            names.iter().map(|(kind, name)| (*kind, format!("#/components/schemas/{name}")));
        let one_of = OneOfBuilder::new()
            .description(Some(description))
            .discriminator(Some(Discriminator::with_mapping("kind", mapping)));
        let one_of =
            names.iter().fold(one_of, |one_of, (_, name)| one_of.item(Ref::from_schema_name(name)));
        one_of.into()
    }

    fn register_all(kinds: &[Kind], schemas: &mut Schemas) {
        for kind in kinds {
            let making = Self::of(*kind, schemas);
            schemas.push((Self::name_of(*kind), making));
        }
    }
}

impl PartialSchema for Making {
    fn schema() -> RefOr<Schema> {
        let description = "What is made: a `kind`, and the `options` that belong to it.";
        Self::one_of(&Kind::OF_JOBS, description)
    }
}

impl ToSchema for Making {
    fn schemas(schemas: &mut Schemas) {
        Self::register_all(&Kind::OF_JOBS, schemas);
    }
}

impl PartialSchema for Doing {
    fn schema() -> RefOr<Schema> {
        let description = "What is done: a `kind`, and the `options` that belong to it. `export` needs \
                           `output` and `connection_id`, in its options or beside them.";
        Making::one_of(&Kind::ALL, description)
    }
}

impl ToSchema for Doing {
    fn schemas(schemas: &mut Schemas) {
        Making::register_all(&Kind::ALL, schemas);
    }
}
