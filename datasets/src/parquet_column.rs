//! One column of one Parquet batch, reduced to the few shapes that a corpus knows.
//!
//! Which column is what is in `layout`; rows are put together in `parquet_table`.

use std::path::Path;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, Float32Array, Int64Array, StringArray, UInt64Array};
use arrow_schema::{DataType, TimeUnit};

use crate::error::CorpusError;
use crate::message::quote;

/// What a column is for, which decides the types it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Text,
    Size,
    Time,
    Verdict,
    Confidence,
}

impl Purpose {
    fn accepts(self, data_type: &DataType) -> bool {
        let text = *data_type == DataType::Utf8;
        match self {
            Purpose::Text => text,
            Purpose::Size => data_type.is_integer(),
            Purpose::Time => text || matches!(data_type, DataType::Int64 | DataType::Timestamp(_, _)),
            Purpose::Verdict => text || *data_type == DataType::Boolean || data_type.is_integer(),
            Purpose::Confidence => matches!(data_type, DataType::Float32 | DataType::Float64),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Purpose::Text => "text (UTF-8)",
            Purpose::Size => "an integer",
            Purpose::Time => "text, a timestamp, or 64-bit integer Unix seconds",
            Purpose::Verdict => "a nullable boolean, an integer 0 or 1, or text",
            Purpose::Confidence => "a 32-bit or 64-bit float",
        }
    }

    /// Refuses a column of a type that this purpose cannot have.
    pub(crate) fn check(self, file: &Path, column: &str, data_type: &DataType) -> Result<(), CorpusError> {
        if self.accepts(data_type) {
            return Ok(());
        }
        Err(CorpusError::ColumnType {
            file: file.to_owned(),
            column: column.to_owned(),
            found: quote(data_type.to_string()),
            expected: self.expected(),
        })
    }
}

/// The values of a column in one batch.
#[derive(Debug)]
pub(crate) enum Column {
    Text(StringArray),
    Boolean(BooleanArray),
    /// Integers; times are in seconds.
    Signed(Int64Array),
    Unsigned(UInt64Array),
    Float(Float32Array),
}

/// One value of a column; nulls are the empty text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Boolean(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f32),
}

impl Column {
    /// Reduces an array whose type [`Purpose::check`] has accepted.
    pub(crate) fn new(array: &ArrayRef) -> Column {
        match array.data_type() {
            DataType::Boolean => Column::Boolean(array.as_boolean().clone()),
            DataType::Int8 => signed::<Int8Type>(array, i64::from),
            DataType::Int16 => signed::<Int16Type>(array, i64::from),
            DataType::Int32 => signed::<Int32Type>(array, i64::from),
            DataType::Int64 => signed::<Int64Type>(array, i64::from),
            DataType::UInt8 => unsigned::<UInt8Type>(array, u64::from),
            DataType::UInt16 => unsigned::<UInt16Type>(array, u64::from),
            DataType::UInt32 => unsigned::<UInt32Type>(array, u64::from),
            DataType::UInt64 => unsigned::<UInt64Type>(array, u64::from),
            DataType::Float32 => Column::Float(array.as_primitive::<Float32Type>().clone()),
            DataType::Float64 => Column::Float(array.as_primitive::<Float64Type>().unary(|number| number as f32)),
            // Rounded down, before 1970 too.
            DataType::Timestamp(TimeUnit::Second, _) => signed::<TimestampSecondType>(array, |t| t),
            DataType::Timestamp(TimeUnit::Millisecond, _) => signed::<TimestampMillisecondType>(array, |t| t.div_euclid(1_000)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => signed::<TimestampMicrosecondType>(array, |t| t.div_euclid(1_000_000)),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => signed::<TimestampNanosecondType>(array, |t| t.div_euclid(1_000_000_000)),
            _ => Column::Text(array.as_string::<i32>().clone()),
        }
    }

    pub(crate) fn value(&self, index: usize) -> Value<'_> {
        let null = Value::Text("");
        match self {
            Column::Text(array) if array.is_valid(index) => Value::Text(array.value(index)),
            Column::Boolean(array) if array.is_valid(index) => Value::Boolean(array.value(index)),
            Column::Signed(array) if array.is_valid(index) => Value::Signed(array.value(index)),
            Column::Unsigned(array) if array.is_valid(index) => Value::Unsigned(array.value(index)),
            Column::Float(array) if array.is_valid(index) => Value::Float(array.value(index)),
            _ => null,
        }
    }
}

impl Value<'_> {
    /// The value in backticks, for a message.
    pub(crate) fn quote(self) -> String {
        match self {
            Value::Text(text) => quote(text),
            Value::Boolean(value) => quote(value.to_string()),
            Value::Signed(value) => quote(value.to_string()),
            Value::Unsigned(value) => quote(value.to_string()),
            Value::Float(value) => quote(value.to_string()),
        }
    }
}

fn signed<T: ArrowPrimitiveType>(array: &ArrayRef, widen: impl Fn(T::Native) -> i64) -> Column {
    Column::Signed(array.as_primitive::<T>().unary(widen))
}

fn unsigned<T: ArrowPrimitiveType>(array: &ArrayRef, widen: impl Fn(T::Native) -> u64) -> Column {
    Column::Unsigned(array.as_primitive::<T>().unary(widen))
}
