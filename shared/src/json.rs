// SPDX-License-Identifier: Apache-2.0
//! JSON values as a configuration needs them. (`serde_json::Value` does the same in a larger module.)

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::ConfigError;

/// A JSON object: its keys in the order in which they came.
pub(crate) type Object = Vec<(String, Json)>;

/// A JSON value. A whole number that came as a double (the way of every number through the console) is an
/// integer again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    Array(Vec<Json>),
    Object(Object),
}

/// Reads a JSON object; no bytes at all are an empty one.
pub(crate) fn parse(json: &[u8]) -> Result<Object, ConfigError> {
    if json.is_empty() {
        return Ok(Object::new());
    }
    match serde_json::from_slice(json) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(ConfigError::new("", "must be a JSON object")),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            Err(ConfigError::new("", format!("is not JSON: see line {line}, column {column}")))
        }
    }
}

/// Takes a key out of an object.
pub(crate) fn take(object: &mut Object, key: &str) -> Option<Json> {
    let index = object.iter().position(|(name, _)| name == key)?;
    Some(object.remove(index).1)
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(i64::try_from(number).map_or(Json::Float(number as f64), Json::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        /// Up to here a double holds every whole number (2^53).
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let is_whole = number.trunc() == number && number.abs() <= EXACT;
        Ok(if is_whole { Json::Integer(number as i64) } else { Json::Float(number) })
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Object::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_are_an_empty_object() {
        assert_eq!(parse(b""), Ok(Object::new()));
    }

    #[test]
    fn whole_doubles_are_integers() {
        for (json, value) in [
            ("1.0", Json::Integer(1)),
            ("-3", Json::Integer(-3)),
            ("1e3", Json::Integer(1000)),
            ("1.5", Json::Float(1.5)),
            ("9223372036854775807", Json::Integer(i64::MAX)),
            ("1e300", Json::Float(1e300)),
        ] {
            let object = parse(format!(r#"{{"n": {json}}}"#).as_bytes());
            assert_eq!(object, Ok(vec![("n".to_string(), value)]), "{json}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_in_one_line() {
        for (json, error) in [
            ("[]", "must be a JSON object"),
            ("null", "must be a JSON object"),
            ("{\"a\":\n tru}", "is not JSON: see line 2, column 5"),
            (" ", "is not JSON: see line 1, column 1"),
            ("{} {}", "is not JSON: see line 1, column 4"),
            ("\u{feff}{}", "is not JSON: see line 1, column 1"),
        ] {
            assert_eq!(parse(json.as_bytes()).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_stack_overflow() {
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_an_error() {
        assert!(parse(b"{\"a\": \"\xff\"}").is_err());
    }
}
