//! Destinations, as the settings name them.

use std::env;
use std::path::Path;

#[cfg(feature = "otlp")]
use llm_audit_ship::otlp::{OtlpEvents, OtlpSettings};
use llm_audit_ship::shipper::{AnyShipper, Destination, Shipper};

use crate::config::{self, Builder, Settings};
use crate::error::{Error, ErrorCause};

/// A kind of destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShipTo {
    /// An OpenTelemetry collector (feature `otlp`).
    Otlp,
    /// CloudWatch Logs (feature `cloudwatch-logs`).
    CloudWatch,
}

impl ShipTo {
    pub(super) const ALL: [Self; 2] = [Self::Otlp, Self::CloudWatch];

    /// Returns its name in `AUDIT_EXPORTER`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::CloudWatch => "cloudwatch",
        }
    }

    /// Returns whether the settings ask for it.
    pub(super) fn is_asked_for(self, settings: &Settings) -> bool {
        match self {
            Self::Otlp => settings.ships_to_collector(),
            Self::CloudWatch => settings.outputs.cloudwatch,
        }
    }
}

/// The lines of one folder to one destination.
///
/// # Examples
///
/// ```no_run
/// use llm_audit::AuditLogger;
/// use llm_audit::shipping::{LogShipping, ShipTo};
///
/// let log = AuditLogger::builder().directory("logs");
/// let shipping = LogShipping::new(log, ShipTo::Otlp)?;
/// if let Some(mut shipper) = shipping.open()? {
///     let shipped = shipper.ship(&mut |_pause, _why| false);
///     println!("{shipped:?}");
/// }
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[derive(Debug)]
pub struct LogShipping {
    settings: Settings,
    to: ShipTo,
}

impl LogShipping {
    /// Takes the destination and the folder from a builder, as a logger would.
    ///
    /// # Errors
    ///
    /// A setting is not accepted, or this program was built without the feature of the destination.
    pub fn new(builder: Builder, to: ShipTo) -> Result<Self, Error> {
        let builder = builder.otlp(to == ShipTo::Otlp).cloudwatch(to == ShipTo::CloudWatch);
        let builder = builder.otlp_metrics(false);
        let (settings, _) = builder.settings(&|name| env::var_os(name))?;
        let shipping = Self::with_settings(settings, to);
        match to.is_asked_for(&shipping.settings) {
            true => Ok(shipping),
            false => Err(shipping.unusable(
                "OTEL_SDK_DISABLED is true, or OTEL_LOGS_EXPORTER and OTEL_TRACES_EXPORTER are none",
            )),
        }
    }

    pub(super) fn with_settings(settings: Settings, to: ShipTo) -> Self {
        Self { settings, to }
    }

    /// Returns the folder of the log.
    pub fn directory(&self) -> &Path {
        &self.settings.directory
    }

    /// Opens the position of the destination. Returns `None` if somebody else ships this log to it.
    ///
    /// # Errors
    ///
    /// The destination cannot be used with these settings, or the position cannot be read or locked.
    pub fn open(&self) -> Result<Option<Box<dyn AnyShipper>>, Error> {
        match self.to {
            #[cfg(feature = "otlp")]
            ShipTo::Otlp => self.open_with(self.collectors()?),
            #[cfg(feature = "cloudwatch-logs")]
            ShipTo::CloudWatch => self.open_with(self.log_stream()?),
            #[cfg(not(all(feature = "otlp", feature = "cloudwatch-logs")))]
            _ => Err(self.unusable("this program was built without it")),
        }
    }

    /// Refuses settings that the destination could not use.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.to {
            #[cfg(feature = "otlp")]
            ShipTo::Otlp => self.collectors().map(drop),
            #[cfg(feature = "cloudwatch-logs")]
            ShipTo::CloudWatch => self.log_stream().map(drop),
            #[cfg(not(all(feature = "otlp", feature = "cloudwatch-logs")))]
            _ => Ok(()),
        }
    }

    fn open_with(
        &self,
        destination: impl Destination + 'static,
    ) -> Result<Option<Box<dyn AnyShipper>>, Error> {
        let shipper = Shipper::open(self.directory(), destination);
        let shipper = shipper.map_err(|error| self.unusable(error))?;
        Ok(shipper.map(|shipper| Box::new(shipper) as Box<dyn AnyShipper>))
    }

    fn unusable(&self, why: impl ToString) -> Error {
        Error::new(ErrorCause::Shipping { to: self.to.name(), why: why.to_string() })
    }

    #[cfg(feature = "otlp")]
    fn collectors(&self) -> Result<OtlpEvents, Error> {
        let config::Otlp { logs, traces, .. } = &self.settings.otlp;
        let logs = logs.is_sent.then(|| self.collector(logs, "/v1/logs"));
        let spans = traces.is_sent.then(|| self.collector(traces, "/v1/traces"));
        OtlpEvents::new(logs, spans).map_err(|error| self.unusable(error))
    }

    #[cfg(feature = "otlp")]
    fn collector(&self, collector: &config::Collector, path: &str) -> OtlpSettings {
        let default = match &*collector.protocol {
            config::GRPC => "http://localhost:4317",
            _ => &format!("http://localhost:4318{path}"),
        };
        OtlpSettings { resource: self.resource(), ..collector.to_ship_settings(default) }
    }

    /// The attributes of every resource. A line has the service of its own `audit.start`.
    #[cfg(feature = "otlp")]
    fn resource(&self) -> Vec<(String, String)> {
        let Settings { otlp, service, .. } = &self.settings;
        let mut resource = otlp.resource.clone();
        if *service != config::default_service_name() {
            resource.retain(|(known, _)| known != "service.name");
            resource.push(("service.name".to_owned(), service.clone()));
        }
        resource
    }

    #[cfg(feature = "cloudwatch-logs")]
    fn log_stream(&self) -> Result<llm_audit_ship::cloudwatch_logs::CloudWatchLogs, Error> {
        let Settings { cloudwatch_group, cloudwatch_stream, service, .. } = &self.settings;
        // A name of ours has none of the characters that the service refuses.
        let own = || format!("{service}/{}", config::host_name()).replace([':', '*'], "-");
        let stream = cloudwatch_stream.clone().unwrap_or_else(own);
        let stream = llm_audit_ship::cloudwatch_logs::CloudWatchLogs::new(cloudwatch_group, stream);
        stream.map_err(|error| self.unusable(error))
    }
}

#[cfg(all(test, feature = "otlp"))]
mod tests {
    use llm_audit_ship::otlp::OtlpProtocol;

    use super::*;

    fn collector(protocol: &str, endpoint: Option<&str>) -> (OtlpProtocol, String) {
        let shipping = LogShipping::with_settings(Settings::default(), ShipTo::Otlp);
        let collector = config::Collector {
            protocol: protocol.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            ..config::Collector::default()
        };
        let settings = shipping.collector(&collector, "/v1/logs");
        (settings.protocol, settings.endpoint)
    }

    #[test]
    fn each_protocol_has_a_port_of_its_own() {
        for (protocol, of, given, expected) in [
            ("http/protobuf", OtlpProtocol::HttpProtobuf, None, "http://localhost:4318/v1/logs"),
            ("http/protobuf", OtlpProtocol::HttpProtobuf, Some("http://a/x"), "http://a/x"),
            ("grpc", OtlpProtocol::Grpc, None, "http://localhost:4317"),
            ("grpc", OtlpProtocol::Grpc, Some("https://a:1"), "https://a:1"),
        ] {
            assert_eq!(collector(protocol, given), (of, expected.to_owned()));
        }
    }
}
