//! Many rows of one table in one statement.
//!
//! Each database is given them in the way that costs it least. As one text of JSON they cost SQLite
//! three times as much, and Postgres has to read it.

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Postgres, Sqlite};

use super::database::Transaction;
use super::statement::Parameter;
use crate::store::{StoreError, StoreResult};

/// A row: its columns with their values. All rows of a statement have the same columns, each with
/// values of one type.
pub(super) type Row = Vec<(&'static str, Parameter)>;

/// How many rows one statement of SQLite has at most: few texts, which all stay prepared.
const MAX_ROWS: usize = 64;

/// Writes the rows into the table, in their order.
pub(super) async fn insert(
    tx: &mut Transaction,
    table: &'static str,
    rows: Vec<Row>,
) -> StoreResult<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let names: Vec<&str> = first.iter().map(|(name, _)| *name).collect();
    let into = format!("insert into {table} ({}) ", names.join(", "));
    match tx {
        Transaction::Sqlite(tx) => {
            let width = names.len();
            let mut rows = rows.into_iter();
            while rows.len() > 0 {
                let some = largest_power(rows.len().min(MAX_ROWS));
                let text = AssertSqlSafe(format!("{into}{}", values(some, width)));
                let arguments = sqlite_arguments(rows.by_ref().take(some))?;
                sqlx::query_with::<Sqlite, _>(text, arguments).execute(&mut **tx).await?;
            }
        }
        Transaction::Postgres { tx, keeps_prepared } => {
            let columns = columns(rows, names.len());
            let types: Vec<String> =
                (1..).zip(&columns).map(|(n, column)| format!("${n}::{}", column.kind())).collect();
            let text = format!("{into}select * from unnest({})", types.join(", "));
            let arguments = postgres_arguments(columns)?;
            let query = sqlx::query_with::<Postgres, _>(AssertSqlSafe(text), arguments);
            query.persistent(*keeps_prepared).execute(&mut **tx).await?;
        }
    }
    Ok(())
}

/// The largest power of two that is no more than a number, which is not 0.
fn largest_power(number: usize) -> usize {
    1 << number.ilog2()
}

/// `values` with a place for each value of so many rows.
fn values(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("values {}", vec![row; rows].join(", "))
}

fn sqlite_arguments(rows: impl Iterator<Item = Row>) -> StoreResult<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for (_, value) in rows.flatten() {
        match value {
            Parameter::Text(value) => arguments.add(value),
            Parameter::Integer(value) => arguments.add(value),
            Parameter::Real(value) => arguments.add(value),
            Parameter::List(_) => return Err(not_a_value()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// The values of one column, which Postgres takes as an array.
enum Column {
    Text(Vec<Option<String>>),
    Integer(Vec<Option<i64>>),
    Real(Vec<f64>),
    /// Values of several types, or none that a column can have.
    Mixed,
}

impl Column {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Mixed => "text[]",
            Self::Integer(_) => "bigint[]",
            Self::Real(_) => "double precision[]",
        }
    }

    fn push(&mut self, value: Parameter) {
        match (self, value) {
            (Self::Text(values), Parameter::Text(value)) => values.push(value),
            (Self::Integer(values), Parameter::Integer(value)) => values.push(value),
            (Self::Real(values), Parameter::Real(value)) => values.push(value),
            (column, _) => *column = Self::Mixed,
        }
    }
}

fn columns(rows: Vec<Row>, count: usize) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::with_capacity(count);
    for row in rows {
        for (n, (_, value)) in row.into_iter().enumerate() {
            match columns.get_mut(n) {
                Some(column) => column.push(value),
                None => columns.push(match value {
                    Parameter::Text(value) => Column::Text(vec![value]),
                    Parameter::Integer(value) => Column::Integer(vec![value]),
                    Parameter::Real(value) => Column::Real(vec![value]),
                    Parameter::List(_) => Column::Mixed,
                }),
            }
        }
    }
    columns
}

fn postgres_arguments(columns: Vec<Column>) -> StoreResult<PgArguments> {
    let mut arguments = PgArguments::default();
    for column in columns {
        match column {
            Column::Text(values) => arguments.add(values),
            Column::Integer(values) => arguments.add(values),
            Column::Real(values) => arguments.add(values),
            Column::Mixed => return Err(not_a_value()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn not_a_value() -> StoreError {
    sqlx::Error::Encode("a row has a value of another type".into()).into()
}
