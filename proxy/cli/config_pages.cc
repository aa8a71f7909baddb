#include "proxy/cli/config_pages.h"

#include "xds/client/config_dump.h"

namespace pillion::cli {
namespace {

class ConfigDumpPage final : public admin::Page {
 public:
  ConfigDumpPage(std::string bootstrap, int64_t started_wall_us, const xds::client::ResourceStore* store)
      : bootstrap_(std::move(bootstrap)), started_wall_us_(started_wall_us), store_(store) {
    info_.path = "/config_dump";
    info_.help = "the configuration in force, secrets redacted";
    info_.parameters = {{"resource", "one field only, such as dynamic_listeners"},
                        {"name_regex", "resources whose whole name matches"},
                        {"include_eds", "with the endpoints of clusters"}};
  }

  const admin::PageInfo& info() const override { return info_; }
  rpc::HttpResponse handle(const admin::PageRequest& request) override {
    xds::client::ConfigDumpQuery query;
    query.include_endpoints = request.query.has("include_eds");
    query.resource = request.query.get("resource").value_or("");
    query.name_regex = request.query.get("name_regex").value_or("");
    auto dump = xds::client::config_dump(bootstrap_, started_wall_us_, store_, query);
    return dump ? admin::json_page(std::move(*dump)) : admin::text_page(dump.error() + "\n", 404);
  }

 private:
  admin::PageInfo info_;
  std::string bootstrap_;
  int64_t started_wall_us_;
  const xds::client::ResourceStore* store_;
};

}  // namespace

std::vector<std::unique_ptr<admin::Page>> make_config_pages(std::string bootstrap, int64_t started_wall_us,
                                                            const xds::client::ResourceStore* store) {
  std::vector<std::unique_ptr<admin::Page>> pages;
  pages.push_back(std::make_unique<ConfigDumpPage>(std::move(bootstrap), started_wall_us, store));
  return pages;
}

}  // namespace pillion::cli
