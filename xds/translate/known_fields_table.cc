// The tables. A unit test holds them to the generated types: each name is a field, and each message that a read field
// holds has a row of its own.
#include <array>

#include "xds/translate/known_fields.h"

namespace pillion::xds {

namespace {

constexpr auto kRead = std::to_array<KnownFields>({
    // === bootstrap ===
    {"envoy.config.bootstrap.v3.Bootstrap",
     "node static_resources dynamic_resources cluster_manager stats_flush_interval layered_runtime admin "
     "default_regex_engine stats_config"},
    {"envoy.config.bootstrap.v3.Bootstrap.StaticResources", "listeners clusters secrets"},
    {"envoy.config.bootstrap.v3.Bootstrap.DynamicResources", "lds_config cds_config ads_config"},
    {"envoy.config.bootstrap.v3.ClusterManager", ""},
    {"envoy.config.bootstrap.v3.LayeredRuntime", "layers"},
    {"envoy.config.bootstrap.v3.RuntimeLayer", "name static_layer admin_layer"},
    {"envoy.config.bootstrap.v3.Admin", "access_log access_log_path address"},
    {"envoy.config.metrics.v3.StatsConfig", ""},
    {"envoy.config.core.v3.Node",
     "id cluster metadata dynamic_parameters locality user_agent_name user_agent_version user_agent_build_version "
     "extensions client_features listening_addresses"},
    {"envoy.config.core.v3.BuildVersion", "version metadata"},
    {"envoy.type.v3.SemanticVersion", "major_number minor_number patch"},
    {"envoy.config.core.v3.Extension", "name category type_descriptor version disabled type_urls"},
    {"xds.core.v3.ContextParams", "params"},
    {"envoy.config.core.v3.ApiConfigSource", "api_type transport_api_version grpc_services"},
    {"envoy.config.core.v3.GrpcService", "envoy_grpc initial_metadata"},
    {"envoy.config.core.v3.GrpcService.EnvoyGrpc", "cluster_name authority"},
    {"envoy.config.core.v3.ConfigSource",
     "path_config_source api_config_source ads initial_fetch_timeout resource_api_version"},
    {"envoy.config.core.v3.PathConfigSource", "path watched_directory"},
    {"envoy.config.core.v3.WatchedDirectory", "path"},

    // === values ===
    {"envoy.config.core.v3.Address", "socket_address pipe"},
    {"envoy.config.core.v3.SocketAddress", "protocol address port_value"},
    {"envoy.config.core.v3.Pipe", "path"},
    {"envoy.config.core.v3.CidrRange", "address_prefix prefix_len"},
    {"envoy.config.core.v3.DataSource", "filename inline_bytes inline_string environment_variable"},
    {"envoy.config.core.v3.HeaderValue", "key value"},
    {"envoy.config.core.v3.HeaderValueOption", "header append append_action keep_empty_value"},
    {"envoy.config.core.v3.Locality", "region zone sub_zone"},
    {"envoy.config.core.v3.Metadata", "filter_metadata"},
    {"envoy.config.core.v3.RuntimeUInt32", "default_value"},
    {"envoy.config.core.v3.RuntimeFractionalPercent", "default_value"},
    {"envoy.config.core.v3.TransportSocket", "name typed_config"},
    {"envoy.config.core.v3.TypedExtensionConfig", "name typed_config"},
    {"envoy.config.core.v3.SubstitutionFormatString",
     "text_format json_format text_format_source omit_empty_values json_format_options"},
    {"envoy.config.core.v3.JsonFormatOptions", ""},
    {"envoy.type.v3.FractionalPercent", "numerator denominator"},
    {"envoy.type.v3.Percent", "value"},
    {"envoy.type.v3.Int64Range", "start end"},
    {"envoy.type.v3.HashPolicy", "source_ip"},
    {"envoy.type.matcher.v3.StringMatcher", "exact prefix suffix safe_regex contains ignore_case"},
    {"envoy.type.matcher.v3.RegexMatcher", "google_re2 regex"},
    {"envoy.type.matcher.v3.RegexMatcher.GoogleRE2", ""},
    {"envoy.type.matcher.v3.RegexMatchAndSubstitute", "pattern substitution"},

    // === access logs ===
    {"envoy.config.accesslog.v3.AccessLog", "name filter typed_config"},
    {"envoy.config.accesslog.v3.AccessLogFilter",
     "status_code_filter duration_filter not_health_check_filter and_filter or_filter header_filter "
     "response_flag_filter"},
    {"envoy.config.accesslog.v3.StatusCodeFilter", "comparison"},
    {"envoy.config.accesslog.v3.DurationFilter", "comparison"},
    {"envoy.config.accesslog.v3.ComparisonFilter", "op value"},
    {"envoy.config.accesslog.v3.AndFilter", "filters"},
    {"envoy.config.accesslog.v3.OrFilter", "filters"},
    {"envoy.config.accesslog.v3.HeaderFilter", "header"},
    {"envoy.config.accesslog.v3.ResponseFlagFilter", "flags"},
    {"envoy.extensions.access_loggers.file.v3.FileAccessLog", "path format json_format typed_json_format log_format"},
    {"envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", "log_format"},
    {"envoy.extensions.access_loggers.stream.v3.StderrAccessLog", "log_format"},

    // === listeners ===
    {"envoy.config.listener.v3.Listener",
     "name address additional_addresses filter_chains use_original_dst default_filter_chain deprecated_v1 "
     "listener_filters listener_filters_timeout continue_on_listener_filters_timeout transparent traffic_direction "
     "reuse_port enable_reuse_port access_log tcp_backlog_size bind_to_port"},
    {"envoy.config.listener.v3.Listener.DeprecatedV1", "bind_to_port"},
    {"envoy.config.listener.v3.AdditionalAddress", "address"},
    {"envoy.config.listener.v3.ListenerFilter", "name typed_config"},
    {"envoy.config.listener.v3.Filter", "name typed_config"},
    {"envoy.config.listener.v3.FilterChain",
     "filter_chain_match filters transport_socket transport_socket_connect_timeout name"},
    {"envoy.config.listener.v3.FilterChainMatch",
     "destination_port prefix_ranges source_type direct_source_prefix_ranges source_prefix_ranges source_ports "
     "server_names transport_protocol application_protocols"},
    {"envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol", ""},
    {"envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector", ""},
    {"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
     "stat_prefix cluster weighted_clusters idle_timeout access_log max_connect_attempts hash_policy "
     "max_downstream_connection_duration"},
    {"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster", "clusters"},
    {"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight", "name weight"},

    // === HTTP ===
    {"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
     "codec_type stat_prefix rds route_config http_filters add_user_agent tracing common_http_protocol_options "
     "http_protocol_options http2_protocol_options server_name server_header_transformation max_request_headers_kb "
     "stream_idle_timeout request_timeout request_headers_timeout drain_timeout delayed_close_timeout access_log "
     "use_remote_address xff_num_trusted_hops internal_address_config skip_xff_append via generate_request_id "
     "preserve_external_request_id always_set_request_id_in_response forward_client_cert_details "
     "set_current_client_cert_details upgrade_configs normalize_path merge_slashes path_with_escaped_slashes_action "
     "request_id_extension strip_matching_host_port strip_any_host_port stream_error_on_invalid_http_message "
     "strip_trailing_host_dot add_proxy_protocol_connection_state"},
    {"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing", ""},
    {"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig",
     "cidr_ranges"},
    {"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails",
     "subject cert chain dns uri"},
    {"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig",
     "upgrade_type enabled"},
    {"envoy.extensions.filters.network.http_connection_manager.v3.Rds", "config_source route_config_name"},
    {"envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
     "name typed_config is_optional disabled"},
    {"envoy.extensions.filters.network.http_connection_manager.v3.RequestIDExtension", "typed_config"},
    {"envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig", ""},
    {"envoy.extensions.filters.http.router.v3.Router", "suppress_envoy_headers"},
    {"envoy.config.core.v3.HttpProtocolOptions",
     "idle_timeout max_connection_duration max_headers_count max_response_headers_kb max_stream_duration "
     "headers_with_underscores_action max_requests_per_connection"},
    {"envoy.config.core.v3.Http1ProtocolOptions",
     "allow_absolute_url accept_http_10 header_key_format enable_trailers "
     "override_stream_error_on_invalid_http_message"},
    {"envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat", "stateful_formatter"},
    {"envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig", ""},
    {"envoy.config.core.v3.Http2ProtocolOptions",
     "max_concurrent_streams initial_stream_window_size initial_connection_window_size allow_connect "
     "override_stream_error_on_invalid_http_message connection_keepalive max_outbound_frames "
     "max_outbound_control_frames max_consecutive_inbound_frames_with_empty_payload "
     "max_inbound_priority_frames_per_stream max_inbound_window_update_frames_per_data_frame_sent"},
    {"envoy.config.core.v3.KeepaliveSettings", "interval timeout"},

    // === routes ===
    {"envoy.config.route.v3.RouteConfiguration",
     "name virtual_hosts internal_only_headers response_headers_to_add response_headers_to_remove "
     "request_headers_to_add request_headers_to_remove most_specific_header_mutations_wins validate_clusters "
     "max_direct_response_body_size_bytes request_mirror_policies ignore_port_in_host_matching "
     "typed_per_filter_config"},
    {"envoy.config.route.v3.VirtualHost",
     "name domains routes require_tls request_headers_to_add request_headers_to_remove response_headers_to_add "
     "response_headers_to_remove typed_per_filter_config include_request_attempt_count "
     "include_attempt_count_in_response retry_policy request_mirror_policies"},
    {"envoy.config.route.v3.Route",
     "name match route redirect direct_response decorator typed_per_filter_config request_headers_to_add "
     "request_headers_to_remove response_headers_to_add response_headers_to_remove"},
    {"envoy.config.route.v3.RouteMatch",
     "prefix path safe_regex connect_matcher path_separated_prefix case_sensitive runtime_fraction headers "
     "query_parameters grpc"},
    {"envoy.config.route.v3.RouteAction",
     "cluster cluster_header weighted_clusters cluster_not_found_response_code prefix_rewrite regex_rewrite "
     "path_rewrite host_rewrite_literal auto_host_rewrite host_rewrite_header host_rewrite_path_regex "
     "append_x_forwarded_host timeout idle_timeout retry_policy request_mirror_policies priority hash_policy "
     "upgrade_configs max_stream_duration"},
    {"envoy.config.route.v3.RouteAction.UpgradeConfig", "upgrade_type enabled"},
    {"envoy.config.route.v3.RouteAction.MaxStreamDuration", "max_stream_duration grpc_timeout_header_max"},
    {"envoy.config.route.v3.RouteAction.RequestMirrorPolicy", "cluster runtime_fraction"},
    {"envoy.config.route.v3.RouteAction.HashPolicy", "header cookie connection_properties query_parameter terminal"},
    {"envoy.config.route.v3.RouteAction.HashPolicy.Header", "header_name"},
    {"envoy.config.route.v3.RouteAction.HashPolicy.Cookie", "name ttl path"},
    {"envoy.config.route.v3.RouteAction.HashPolicy.ConnectionProperties", "source_ip"},
    {"envoy.config.route.v3.RouteAction.HashPolicy.QueryParameter", "name"},
    {"envoy.config.route.v3.WeightedCluster", "clusters total_weight"},
    {"envoy.config.route.v3.WeightedCluster.ClusterWeight",
     "name weight request_headers_to_add request_headers_to_remove response_headers_to_add "
     "response_headers_to_remove typed_per_filter_config host_rewrite_literal"},
    {"envoy.config.route.v3.RedirectAction",
     "https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite regex_rewrite "
     "response_code strip_query"},
    {"envoy.config.route.v3.DirectResponseAction", "status body"},
    {"envoy.config.route.v3.Decorator", "operation"},
    {"envoy.config.route.v3.RetryPolicy",
     "retry_on num_retries per_try_timeout per_try_idle_timeout retry_host_predicate "
     "host_selection_retry_max_attempts retriable_status_codes retry_back_off retriable_headers "
     "retriable_request_headers"},
    {"envoy.config.route.v3.RetryPolicy.RetryBackOff", "base_interval max_interval"},
    {"envoy.config.route.v3.RetryPolicy.RetryHostPredicate", "name typed_config"},
    {"envoy.config.route.v3.HeaderMatcher",
     "name exact_match safe_regex_match range_match present_match prefix_match suffix_match contains_match "
     "string_match invert_match treat_missing_header_as_empty"},
    {"envoy.config.route.v3.QueryParameterMatcher", "name string_match present_match"},
    {"envoy.config.route.v3.FilterConfig", "config is_optional disabled"},

    // === clusters ===
    {"envoy.config.cluster.v3.Cluster",
     "transport_socket_matches name alt_stat_name type eds_cluster_config connect_timeout lb_policy load_assignment "
     "max_requests_per_connection circuit_breakers upstream_http_protocol_options common_http_protocol_options "
     "http_protocol_options http2_protocol_options typed_extension_protocol_options dns_refresh_rate respect_dns_ttl "
     "dns_lookup_family wait_for_warm_on_init outlier_detection upstream_bind_config original_dst_lb_config "
     "least_request_lb_config round_robin_lb_config common_lb_config transport_socket protocol_selection "
     "upstream_connection_options close_connections_on_host_health_failure load_balancing_policy"},
    {"envoy.config.cluster.v3.Cluster.TransportSocketMatch", "name match transport_socket"},
    {"envoy.config.cluster.v3.Cluster.EdsClusterConfig", "eds_config service_name"},
    {"envoy.config.cluster.v3.Cluster.OriginalDstLbConfig", "use_http_header http_header_name upstream_port_override"},
    {"envoy.config.cluster.v3.Cluster.LeastRequestLbConfig", "choice_count"},
    {"envoy.config.cluster.v3.Cluster.RoundRobinLbConfig", ""},
    {"envoy.config.cluster.v3.Cluster.CommonLbConfig",
     "healthy_panic_threshold zone_aware_lb_config locality_weighted_lb_config ignore_new_hosts_until_first_hc"},
    {"envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig", "fail_traffic_on_panic"},
    {"envoy.config.cluster.v3.CircuitBreakers", "thresholds"},
    {"envoy.config.cluster.v3.CircuitBreakers.Thresholds",
     "priority max_connections max_pending_requests max_requests max_retries retry_budget"},
    {"envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget", "budget_percent min_retry_concurrency"},
    {"envoy.config.cluster.v3.OutlierDetection",
     "consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx "
     "enforcing_success_rate consecutive_gateway_failure enforcing_consecutive_gateway_failure "
     "split_external_local_origin_errors consecutive_local_origin_failure "
     "enforcing_consecutive_local_origin_failure enforcing_local_origin_success_rate enforcing_failure_percentage "
     "enforcing_failure_percentage_local_origin max_ejection_time max_ejection_time_jitter always_eject_one_host"},
    {"envoy.config.cluster.v3.UpstreamConnectionOptions", "tcp_keepalive"},
    {"envoy.config.core.v3.TcpKeepalive", "keepalive_probes keepalive_time keepalive_interval"},
    {"envoy.config.core.v3.BindConfig", "source_address extra_source_addresses"},
    {"envoy.config.core.v3.ExtraSourceAddress", "address"},
    {"envoy.config.core.v3.UpstreamHttpProtocolOptions", "auto_sni auto_san_validation"},
    {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
     "common_http_protocol_options upstream_http_protocol_options explicit_http_config "
     "use_downstream_protocol_config auto_config"},
    {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig",
     "http_protocol_options http2_protocol_options"},
    {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig",
     "http_protocol_options http2_protocol_options"},
    {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig",
     "http_protocol_options http2_protocol_options"},
    {"envoy.config.cluster.v3.LoadBalancingPolicy", "policies"},
    {"envoy.config.cluster.v3.LoadBalancingPolicy.Policy", "typed_extension_config"},
    {"envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin", "locality_lb_config"},
    {"envoy.extensions.load_balancing_policies.random.v3.Random", "locality_lb_config"},
    {"envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest",
     "choice_count locality_lb_config enable_full_scan"},
    {"envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality", "endpoint_picking_policy"},
    {"envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig",
     "zone_aware_lb_config locality_weighted_lb_config"},
    {"envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig.ZoneAwareLbConfig", "fail_traffic_on_panic"},

    // === endpoints ===
    {"envoy.config.endpoint.v3.ClusterLoadAssignment", "cluster_name endpoints policy"},
    {"envoy.config.endpoint.v3.ClusterLoadAssignment.Policy", "overprovisioning_factor"},
    {"envoy.config.endpoint.v3.LocalityLbEndpoints", "locality lb_endpoints load_balancing_weight priority"},
    {"envoy.config.endpoint.v3.LbEndpoint", "endpoint health_status metadata load_balancing_weight"},
    {"envoy.config.endpoint.v3.Endpoint", "address hostname"},

    // === TLS ===
    {"envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
     "common_tls_context require_client_certificate require_sni full_scan_certs_on_sni_mismatch"},
    {"envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
     "common_tls_context sni allow_renegotiation enforce_rsa_key_usage"},
    {"envoy.extensions.transport_sockets.tls.v3.CommonTlsContext",
     "tls_params tls_certificates tls_certificate_sds_secret_configs validation_context "
     "validation_context_sds_secret_config combined_validation_context alpn_protocols"},
    {"envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext",
     "default_validation_context validation_context_sds_secret_config"},
    {"envoy.extensions.transport_sockets.tls.v3.TlsParameters",
     "tls_minimum_protocol_version tls_maximum_protocol_version cipher_suites ecdh_curves"},
    {"envoy.extensions.transport_sockets.tls.v3.TlsCertificate", "certificate_chain private_key"},
    {"envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext",
     "trusted_ca verify_certificate_hash match_typed_subject_alt_names match_subject_alt_names "
     "trust_chain_verification"},
    {"envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher", "san_type matcher"},
    {"envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig", "name sds_config"},
    {"envoy.extensions.transport_sockets.tls.v3.Secret", "name tls_certificate validation_context"},
});

constexpr std::string_view kStats = "names of statistics only";
constexpr std::string_view kRuntime = "there are no runtime layers that could hold the key, so that the default holds";
constexpr std::string_view kNoReader = "metadata is for extensions, and each extension that reads it is refused";
constexpr std::string_view kTracing = "tracing is off: a provider, or tracing in the bootstrap, is refused";
constexpr std::string_view kBuffers = "buffers have limits of their own; bodies are streamed either way";
constexpr std::string_view kThreads = "about the threads and memory of another program";

constexpr auto kIgnored = std::to_array<IgnoredFields>({
    {"envoy.config.bootstrap.v3.Bootstrap",
     "flags_path deferred_stat_options watchdog watchdogs enable_dispatcher_stats perf_tracing_file_path "
     "grpc_async_client_manager_config memory_allocator_manager",
     kThreads},
    {"envoy.config.bootstrap.v3.Bootstrap",
     "stats_flush_on_admin stats_eviction_interval stats_server_version_override",
     "statistics are always read when they are asked for"},
    {"envoy.config.bootstrap.v3.ClusterManager", "enable_deferred_cluster_creation", kThreads},
    {"envoy.config.bootstrap.v3.Admin", "profile_path", "there is no profiler that would write there"},
    {"envoy.config.bootstrap.v3.Admin", "ignore_global_conn_limit", "there is no global limit of connections"},
    {"envoy.config.metrics.v3.StatsConfig", "stats_tags use_all_default_tags stats_matcher histogram_bucket_settings",
     "told by a warning: statistics have Envoy's names and default tags"},
    {"envoy.config.core.v3.ApiConfigSource", "set_node_on_first_message_only",
     "a server may rely on the node in the first message only"},
    {"envoy.config.core.v3.GrpcService", "timeout", "a stream has none"},
    {"envoy.config.core.v3.GrpcService.EnvoyGrpc", "skip_envoy_headers", "none are sent"},
    {"envoy.config.core.v3.RuntimeUInt32", "runtime_key", kRuntime},
    {"envoy.config.core.v3.RuntimeFractionalPercent", "runtime_key", kRuntime},
    {"envoy.config.core.v3.Metadata", "typed_filter_metadata", kNoReader},
    {"envoy.config.core.v3.SubstitutionFormatString", "content_type", "a line of a log has none"},
    {"envoy.config.core.v3.JsonFormatOptions", "sort_properties", "keys are always sorted"},
    {"envoy.config.route.v3.WeightedCluster", "runtime_key_prefix", kRuntime},
    {"envoy.type.matcher.v3.RegexMatcher.GoogleRE2", "max_program_size", "programs have a limit of their own"},

    {"envoy.config.listener.v3.Listener", "stat_prefix", kStats},
    {"envoy.config.listener.v3.Listener", "metadata", kNoReader},
    {"envoy.config.listener.v3.Listener", "per_connection_buffer_limit_bytes", kBuffers},
    {"envoy.config.listener.v3.Listener", "connection_balance_config max_connections_to_accept_per_socket_event",
     "every connection goes to the worker with "
     "the fewest"},
    {"envoy.config.listener.v3.Listener", "ignore_global_conn_limit bypass_overload_manager",
     "there is no global limit of connections"},
    {"envoy.config.listener.v3.FilterChain", "metadata", kNoReader},
    {"envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
     "initial_read_buffer_size max_client_hello_size", kBuffers},
    {"envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol", "stat_prefix", kStats},

    {"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing",
     "client_sampling random_sampling overall_sampling verbose max_path_tag_length custom_tags spawn_upstream_span "
     "operation upstream_operation",
     kTracing},
    {"envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig", "pack_trace_reason use_request_id_for_trace_sampling",
     kTracing},
    {"envoy.extensions.filters.http.router.v3.Router", "dynamic_stats suppress_grpc_request_failure_code_stats",
     kStats},
    {"envoy.extensions.filters.http.router.v3.Router", "start_child_span", kTracing},
    {"envoy.config.core.v3.Http1ProtocolOptions", "use_balsa_parser", kThreads},
    {"envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
     "formatter_type_on_envoy_headers", "the case of HTTP/1 headers is always kept; names of our own are lower case"},
    {"envoy.config.core.v3.Http2ProtocolOptions", "hpack_table_size use_oghttp2_codec max_metadata_size", kThreads},
    {"envoy.config.core.v3.KeepaliveSettings", "interval_jitter", "pings of many connections are spread anyway"},

    {"envoy.config.route.v3.RouteConfiguration", "metadata", kNoReader},
    {"envoy.config.route.v3.VirtualHost", "virtual_clusters", kStats},
    {"envoy.config.route.v3.VirtualHost", "metadata", kNoReader},
    {"envoy.config.route.v3.Route", "stat_prefix", kStats},
    {"envoy.config.route.v3.Route", "metadata", kNoReader},
    {"envoy.config.route.v3.Route", "tracing", kTracing},
    {"envoy.config.route.v3.Decorator", "propagate", kTracing},
    {"envoy.config.route.v3.RouteAction.RequestMirrorPolicy", "trace_sampled", kTracing},

    {"envoy.config.cluster.v3.Cluster", "metadata", kNoReader},
    {"envoy.config.cluster.v3.Cluster", "track_timeout_budgets track_cluster_stats", kStats},
    {"envoy.config.cluster.v3.Cluster", "per_connection_buffer_limit_bytes", kBuffers},
    {"envoy.config.cluster.v3.Cluster", "cleanup_interval", "unused endpoints of ORIGINAL_DST hold no resources"},
    {"envoy.config.cluster.v3.Cluster", "ignore_health_on_host_removal",
     "about active health checks, which are refused"},
    {"envoy.config.cluster.v3.CircuitBreakers.Thresholds", "track_remaining", kStats},
    {"envoy.config.cluster.v3.OutlierDetection",
     "success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor failure_percentage_threshold "
     "failure_percentage_minimum_hosts failure_percentage_request_volume",
     "numbers of criteria whose enforcing percentage must be zero"},
    {"envoy.config.cluster.v3.OutlierDetection", "successful_active_health_check_uneject_host",
     "about active health checks, which are refused"},
    {"envoy.config.cluster.v3.Cluster.CommonLbConfig", "update_merge_window", kThreads},
    {"envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig", "routing_enabled min_cluster_size",
     "needs cluster_manager.local_cluster_name, which is refused"},
    {"envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig.ZoneAwareLbConfig",
     "routing_enabled min_cluster_size", "needs cluster_manager.local_cluster_name, which is refused"},
    {"envoy.config.cluster.v3.UpstreamConnectionOptions",
     "set_local_interface_name_on_upstream_connections happy_eyeballs_config",
     "about endpoints with several addresses, which are refused, and about filter state"},

    {"envoy.config.endpoint.v3.LocalityLbEndpoints", "metadata", kNoReader},
    {"envoy.config.endpoint.v3.LocalityLbEndpoints", "proximity", "Envoy does not read it either"},
    {"envoy.config.endpoint.v3.Endpoint", "health_check_config", "about active health checks, which are refused"},

    {"envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "max_session_keys",
     "resumption saves time and changes no answer"},
    {"envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
     "session_timeout disable_stateless_session_resumption disable_stateful_session_resumption",
     "resumption saves time and changes no answer"},
});

}  // namespace

std::span<const KnownFields> read_fields() {
  return kRead;
}
std::span<const IgnoredFields> ignored_fields() {
  return kIgnored;
}

}  // namespace pillion::xds
