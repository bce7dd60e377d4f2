//! What RabbitMQ, lapin and the wire cost without us: a server that does the least that the protocol allows, to compare
//! Nova Host with. It decodes a call, sends its arguments back, waits for the broker's confirmation, and acknowledges.
//! No versions, no failures, no duplicates, no limits, no handler.
//!
//! `cargo run --release --example echo -- TRANSPORT_URL TOPIC`. Prints `ready` when it consumes, and ends when its
//! standard input does.

use std::{io::Read, sync::Arc};

use anyhow::Context as _;
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

/// Nova Host's own `max_in_flight`, unless configured.
const PREFETCH: u16 = 64;

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "oslo.message")]
    message: String,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    args: &'a RawValue,
    #[serde(rename = "_msg_id")]
    message_id: Option<&'a str>,
    #[serde(rename = "_reply_q")]
    queue: Option<&'a str>,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (url, topic) = arguments.next().zip(arguments.next()).context("echo TRANSPORT_URL TOPIC")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let serving = runtime.spawn(async move { serve(&url.replacen("rabbit://", "amqp://", 1), &topic).await });
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
    runtime.block_on(serving)?
}

async fn serve(url: &str, topic: &str) -> anyhow::Result<()> {
    let consuming = Connection::connect(url, ConnectionProperties::default()).await?.create_channel().await?;
    let publishing = Connection::connect(url, ConnectionProperties::default()).await?.create_channel().await?;
    publishing.confirm_select(ConfirmSelectOptions::default()).await?;
    consuming.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let none = FieldTable::default;
    // As oslo.messaging declares them by default.
    let exchange = ExchangeDeclareOptions { durable: false, ..ExchangeDeclareOptions::default() };
    consuming.exchange_declare("nova".into(), ExchangeKind::Topic, exchange, none()).await?;
    consuming.queue_declare(topic.into(), QueueDeclareOptions::default(), none()).await?;
    let (queue, key) = (topic.into(), topic.into());
    consuming.queue_bind(queue, "nova".into(), key, QueueBindOptions::default(), none()).await?;
    let consumer = consuming.basic_consume(topic.into(), "1".into(), BasicConsumeOptions::default(), none());
    let mut deliveries = consumer.await?;
    #[expect(clippy::print_stdout, reason = "whoever started it waits for this line")]
    {
        println!("ready");
    }
    let json_properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(2);
    let counter = Arc::new(std::sync::atomic::AtomicU64::new(0));
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        let envelope: Envelope = serde_json::from_slice(&delivery.data)?;
        let request: Request<'_> = serde_json::from_str(&envelope.message)?;
        let (Some(message_id), Some(queue)) = (request.message_id, request.queue) else {
            delivery.ack(BasicAckOptions::default()).await?;
            continue;
        };
        let unique_id = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        let reply = json!({
            "result": request.args, "failure": null, "ending": true, "_msg_id": message_id, "_unique_id": unique_id,
        });
        let body = serde_json::to_vec(&json!({"oslo.version": "2.0", "oslo.message": reply.to_string()}))?;
        // In order, for lapin numbers messages when they are given to it.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirmed =
            publishing.basic_publish("".into(), queue.into(), options, &body, json_properties.clone()).await?;
        tokio::spawn(async move {
            if confirmed.await.is_ok() {
                delivery.ack(BasicAckOptions::default()).await.ok();
            }
        });
    }
    Ok(())
}
