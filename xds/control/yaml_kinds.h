// One function per kind of document: YAML in, the typed value out. Mistakes go to the value's report; a document that
// has any is not used, so what is returned beside mistakes only has to be harmless.
#pragma once

#include <string>
#include <variant>

#include "xds/control/model.h"
#include "xds/control/yaml_reader.h"

namespace pillion::xds::control {

using Document = std::variant<Service, EndpointSlice, Pod, Namespace, Route, TrafficPolicy, MeshPolicy>;

// Dispatches on apiVersion and kind. Nothing if they are missing or not known, which the report then says.
std::optional<Document> read_document(const YamlValue& value);

Service read_service(Meta meta, const YamlMap& top);
EndpointSlice read_endpoint_slice(Meta meta, const YamlMap& top);
Pod read_pod(Meta meta, const YamlMap& top);
Namespace read_namespace(Meta meta, const YamlMap& top);
Route read_route(Meta meta, const YamlMap& top, bool grpc);
TrafficPolicy read_traffic_policy(Meta meta, const YamlMap& top);
MeshPolicy read_mesh_policy(Meta meta, const YamlMap& top);

// A reference of the Gateway API: group, kind and name, where only a core Service can be meant.
void check_service_ref(const YamlMap& ref);

const Meta& meta_of(const Document& document);

}  // namespace pillion::xds::control
