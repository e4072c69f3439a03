// SPDX-License-Identifier: Apache-2.0
//! A serde deserializer from JSON values to a plugin's configuration, made for the person who reads the error:
//! it names the key by its path, says what is accepted, and never shows a text (which may be a password).
//!
//! A key with nothing behind it (`null`) counts as absent; a struct refuses keys that it does not have, since
//! a misspelt one would pass in silence.

use std::fmt::Display;
use std::slice;

use crate::ConfigError;
use crate::json::{Json, Object};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

/// Converts a JSON value into `T`.
pub(crate) fn from_json<T: DeserializeOwned>(value: &Json) -> Result<T, ConfigError> {
    T::deserialize(JsonDeserializer(value))
}

struct JsonDeserializer<'de>(&'de Json);

impl<'de> Deserializer<'de> for JsonDeserializer<'de> {
    type Error = ConfigError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        match self.0 {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::Integer(number) => visitor.visit_i64(*number),
            Json::Float(number) => visitor.visit_f64(*number),
            Json::String(text) => visitor.visit_borrowed_str(text),
            Json::Array(items) => visitor.visit_seq(Items { rest: items.iter(), index: 0 }),
            Json::Object(object) => visitor.visit_map(Entries::of(object)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        let Json::Object(object) = self.0 else {
            return Err(ConfigError::custom("must be an object"));
        };
        match object.iter().find(|(key, _)| !fields.contains(&key.as_str())) {
            Some((key, _)) => Err(ConfigError::unknown_field(key, fields)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        match self.0 {
            Json::String(variant) => visitor.visit_enum(StrDeserializer::new(variant)),
            Json::Object(object) => visitor.visit_enum(MapAccessDeserializer::new(Entries::of(object))),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'de> {
    rest: slice::Iter<'de, Json>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = ConfigError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ConfigError> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        let item = seed.deserialize(JsonDeserializer(value));
        item.map(Some).map_err(|error| error.inside(&format!("[{index}]")))
    }
}

struct Entries<'de> {
    rest: slice::Iter<'de, (String, Json)>,
    value: Option<(&'de str, &'de Json)>,
}

impl<'de> Entries<'de> {
    fn of(object: &'de Object) -> Self {
        Entries { rest: object.iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = ConfigError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ConfigError> {
        let Some((key, value)) = self.rest.find(|(_, value)| *value != Json::Null) else { return Ok(None) };
        self.value = Some((key, value));
        let name: StrDeserializer<'de, ConfigError> = key.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|error| error.inside(key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ConfigError> {
        let (key, value) = self.value.take().unwrap_or(("", &Json::Null));
        seed.deserialize(JsonDeserializer(value)).map_err(|error| error.inside(key))
    }
}

impl Error for ConfigError {
    fn custom<T: Display>(reason: T) -> Self {
        ConfigError::new("", reason.to_string())
    }

    fn invalid_type(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("must be {}, got {}", accepted(expected), kind(got)))
    }

    fn invalid_value(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match got {
            Unexpected::Unsigned(got) => Self::custom(format_args!("must be {}, got {got}", accepted(expected))),
            Unexpected::Signed(got) => Self::custom(format_args!("must be {}, got {got}", accepted(expected))),
            got => Self::invalid_type(got, expected),
        }
    }

    fn unknown_variant(_got: &str, variants: &'static [&'static str]) -> Self {
        Self::custom(format_args!("must be one of {}", variants.join(", ")))
    }

    fn unknown_field(key: &str, fields: &'static [&'static str]) -> Self {
        match fields {
            [] => ConfigError::new(key, "unknown key; there is nothing to configure"),
            _ => ConfigError::new(key, format!("unknown key; accepted: {}", fields.join(", "))),
        }
    }

    fn duplicate_field(key: &'static str) -> Self {
        ConfigError::new(key, "is given twice")
    }

    fn missing_field(key: &'static str) -> Self {
        ConfigError::new(key, "is required")
    }
}

/// serde's own words for what a type accepts are Rust's; these are the operator's.
fn accepted(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        other if other.starts_with("a nonzero u") => "a whole number, 1 or more".into(),
        _ => expected,
    }
}

fn kind(got: Unexpected<'_>) -> &'static str {
    match got {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
        Unexpected::Float(_) => "a number with a fraction, or too large",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::{HeaderName, HeaderValue, StatusCode};

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Config {
        enable: bool,
        port: u16,
        limit: Option<NonZeroU32>,
        ratio: f64,
        name: String,
        names: Vec<String>,
        mode: Mode,
        inner: Inner,
        status: Option<StatusCode>,
        headers: BTreeMap<HeaderName, HeaderValue>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Mode {
        #[default]
        Off,
        FullOn,
        Every(u8),
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    struct Inner {
        must: bool,
    }

    fn parse(value: serde_json::Value) -> Result<Config, String> {
        let value = serde_json::from_value(value).unwrap();
        from_json(&value).map_err(|error| error.to_string())
    }

    #[test]
    fn whole_numbers_may_arrive_as_doubles() {
        let config = parse(json!({"port": 80.0, "limit": 1.0, "ratio": 2, "status": 404.0})).unwrap();
        assert_eq!((config.port, config.ratio), (80, 2.0));
        assert_eq!(config.limit, NonZeroU32::new(1));
        assert_eq!(config.status.map(StatusCode::get), Some(404));
    }

    #[test]
    fn null_counts_as_absent() {
        assert_eq!(parse(json!({"name": null, "port": null, "limit": null})), Ok(Config::default()));
        assert_eq!(parse(json!({"inner": {"must": null}})), Err("inner.must: is required".into()));
    }

    #[test]
    fn everything_that_is_right_is_kept() {
        let config = parse(json!({
            "enable": true, "name": "a", "names": ["b", "c"], "mode": "fullOn", "inner": {"must": true},
            "headers": {"X-One": "é\t1"},
        }));
        let config = config.unwrap();
        assert!(config.enable && config.inner.must);
        assert_eq!((config.name.as_str(), config.mode), ("a", Mode::FullOn));
        assert_eq!(config.names, ["b", "c"]);
        assert_eq!(config.headers.keys().map(AsRef::as_ref).collect::<Vec<&str>>(), ["x-one"]);
    }

    #[test]
    fn errors_name_the_key_and_what_is_accepted() {
        for (config, error) in [
            (json!([]), "must be an object"),
            (json!({"enable": "yes"}), "enable: must be a boolean, got a string"),
            (json!({"name": 1234}), "name: must be a string, got a number"),
            (json!({"name": true}), "name: must be a string, got a boolean"),
            (json!({"names": "a"}), "names: must be a sequence, got a string"),
            (json!({"names": ["a", 1]}), "names[1]: must be a string, got a number"),
            (json!({"port": 70000}), "port: must be a whole number from 0 to 65535, got 70000"),
            (json!({"port": -1}), "port: must be a whole number from 0 to 65535, got -1"),
            (json!({"port": "80"}), "port: must be a whole number from 0 to 65535, got a string"),
            (
                json!({"port": 1.5}),
                "port: must be a whole number from 0 to 65535, got a number with a fraction, or too large",
            ),
            (json!({"limit": 0}), "limit: must be a whole number, 1 or more, got 0"),
            (json!({"ratio": {}}), "ratio: must be a number, got an object"),
            (json!({"mode": "on"}), "mode: must be one of off, fullOn, every"),
            (json!({"mode": {"every": "x"}}), "mode.every: must be a whole number from 0 to 255, got a string"),
            (json!({"inner": {"must": 1}}), "inner.must: must be a boolean, got a number"),
            (json!({"inner": {}}), "inner.must: is required"),
            (json!({"inner": {"must": true, "can": 1}}), "inner.can: unknown key; accepted: must"),
            (json!({"inner": 3}), "inner: must be an object"),
            (json!({"status": 600}), "status: must be 200 to 599, got 600"),
            (json!({"status": 199.0}), "status: must be 200 to 599, got 199"),
            (
                json!({"headers": {"a b": "c"}}),
                "headers.a b: must be a header name: letters, digits and !#$%&'*+-.^_`|~",
            ),
            (
                json!({"headers": {"a": "b\r\nc: d"}}),
                "headers.a: must be a header value: no line breaks or control characters",
            ),
            (
                json!({"Enable": true}),
                "Enable: unknown key; accepted: enable, port, limit, ratio, name, names, mode, inner, status, headers",
            ),
        ] {
            assert_eq!(parse(config), Err(error.to_string()));
        }
    }

    #[test]
    fn a_text_in_the_wrong_place_is_never_shown() {
        for config in [
            json!({"port": "s3cret"}),
            json!({"enable": "s3cret"}),
            json!({"mode": "s3cret"}),
            json!({"names": "s3cret"}),
            json!({"inner": {"must": "s3cret"}}),
        ] {
            assert!(!parse(config).unwrap_err().contains("s3cret"));
        }
    }
}
