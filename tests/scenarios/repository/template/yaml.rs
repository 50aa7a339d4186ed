//! YAML of CloudFormation as JSON: a tag such as `!Ref` becomes the function that it is short for.

use saphyr_parser::{Event, Parser, Tag};
use serde_json::{Map, Value, json};

/// YAML as JSON, with each scalar as a string and `!GetAtt x` as `{"Fn::GetAtt": "x"}`.
pub(super) fn parse(source: &str) -> Value {
    let mut parser = Parser::new_from_str(source);
    let mut next = || {
        parser
            .next()
            .expect("more of the template")
            .expect("YAML")
            .0
    };
    assert_eq!(next(), Event::StreamStart);
    assert!(matches!(next(), Event::DocumentStart(_)));
    let first = next();
    let document = node(first, &mut next);
    assert_eq!(next(), Event::DocumentEnd);
    assert_eq!(next(), Event::StreamEnd);
    document
}

fn node<'a>(event: Event<'a>, next: &mut impl FnMut() -> Event<'a>) -> Value {
    match event {
        Event::Scalar(text, _, _, tag) => tagged(tag.as_deref(), text.into_owned().into()),
        Event::SequenceStart(_, tag) => {
            let mut list = Vec::new();
            loop {
                match next() {
                    Event::SequenceEnd => return tagged(tag.as_deref(), list.into()),
                    event => list.push(node(event, next)),
                }
            }
        }
        Event::MappingStart(_, tag) => {
            let mut map = Map::new();
            loop {
                let key = match next() {
                    Event::MappingEnd => return tagged(tag.as_deref(), map.into()),
                    Event::Scalar(key, ..) => key.into_owned(),
                    event => panic!("a key is {event:?}"),
                };
                let first = next();
                let value = node(first, next);
                assert!(
                    map.insert(key.clone(), value).is_none(),
                    "{key} stands twice"
                );
            }
        }
        event => panic!("CloudFormation takes no {event:?}"),
    }
}

fn tagged(tag: Option<&Tag>, value: Value) -> Value {
    match tag.map(|tag| tag.suffix.as_str()) {
        None => value,
        Some(name @ ("Ref" | "Condition")) => json!({ name: value }),
        Some(name) => json!({ format!("Fn::{name}"): value }),
    }
}
