#include "xds/api/any.h"

#include <doctest/doctest.h>
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <google/protobuf/struct.pb.h>
#include <udpa/type/v1/typed_struct.pb.h>

namespace pillion {

using envoy::config::cluster::v3::Cluster;
using envoy::config::core::v3::Metadata;
using envoy::config::listener::v3::Listener;

TEST_CASE("any: a message comes back as its type, and as no other") {
  Cluster cluster;
  cluster.set_name("web");
  const google::protobuf::Any any = xds::pack(cluster);
  CHECK(any.type_url() == xds::kClusterType);
  const auto back = xds::unpack<Cluster>(any);
  REQUIRE(back.has_value());
  CHECK(back->name() == "web");
  const auto other = xds::unpack<Listener>(any, "resources[0]");
  REQUIRE(!other);
  CHECK(other.error().to_string() ==
        "resources[0]: expected a envoy.config.listener.v3.Listener, got "
        "\"type.googleapis.com/envoy.config.cluster.v3.Cluster\"");
  const auto generic = xds::unpack_message(any);
  REQUIRE(generic.has_value());
  CHECK((*generic)->GetDescriptor()->full_name() == "envoy.config.cluster.v3.Cluster");
}

TEST_CASE("any: bytes that are not the message are an error, as are unknown types and none") {
  google::protobuf::Any any;
  any.set_type_url(std::string(xds::kClusterType));
  any.set_value("\xff\xff\xff");
  CHECK(xds::unpack<Cluster>(any).error().reason == "the bytes are not a envoy.config.cluster.v3.Cluster");
  any.set_type_url("type.googleapis.com/foo.Bar");
  CHECK(xds::unpack_message(any).error().reason == "\"foo.Bar\" is not a type that is known here");
  any.Clear();
  CHECK(xds::unpack_message(any).error().reason == "no message where one is needed");
  CHECK(xds::find_type("no.slash") == nullptr);
}

TEST_CASE("any: a TypedStruct is the message that it carries") {
  udpa::type::v1::TypedStruct typed;
  typed.set_type_url(std::string(xds::kClusterType));
  (*typed.mutable_value()->mutable_fields())["name"].set_string_value("web");
  (*typed.mutable_value()->mutable_fields())["connectTimeout"].set_string_value("2s");
  (*typed.mutable_value()->mutable_fields())["per_connection_buffer_limit_bytes"].set_number_value(65536);
  const google::protobuf::Any any = xds::pack(typed);
  CHECK(xds::content_type(any) == "envoy.config.cluster.v3.Cluster");
  const auto cluster = xds::unpack<Cluster>(any, "x");
  REQUIRE(cluster.has_value());
  CHECK(cluster->connect_timeout().seconds() == 2);
  CHECK(cluster->per_connection_buffer_limit_bytes().value() == 65536);
  CHECK(xds::unpack<udpa::type::v1::TypedStruct>(any).has_value());
  CHECK(!xds::unpack<Listener>(any).has_value());

  (*typed.mutable_value()->mutable_fields())["name"].set_number_value(5);
  CHECK(xds::unpack<Cluster>(xds::pack(typed), "x").error().path == "x.value.name");

  google::protobuf::Value* deep = &(*typed.mutable_value()->mutable_fields())["metadata"];
  for (int i = 0; i < 200; ++i) deep = deep->mutable_list_value()->add_values();
  google::protobuf::Any bomb;
  bomb.set_type_url("type.googleapis.com/udpa.type.v1.TypedStruct");
  typed.SerializeToString(bomb.mutable_value());
  CHECK(!xds::unpack<Cluster>(bomb).has_value());
}

TEST_CASE("any: the same content has the same bytes") {
  Metadata one;
  Metadata two;
  for (int i = 0; i < 50; ++i) (*one.mutable_filter_metadata())["k" + std::to_string(i)];
  for (int i = 49; i >= 0; --i) (*two.mutable_filter_metadata())["k" + std::to_string(i)];
  CHECK(xds::pack(one).value() == xds::pack(two).value());
}

}  // namespace pillion
