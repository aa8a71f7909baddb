#include "xds/control/yaml_source.h"

#include <algorithm>
#include <set>

#include "xds/control/model_check.h"

namespace pillion::xds::control {

// === one file ===

std::shared_ptr<const ParsedFile> parse_yaml_file(const SourceFile& file) {
  auto out = std::make_shared<ParsedFile>();
  out->content = file.content;
  YamlReport report(file.path);
  if (!file.unreadable.empty()) {
    report.add(0, "", file.unreadable);
    out->errors = report.take();
    return out;
  }
  if (file.content.size() > kMaxYamlFileBytes) {
    report.add(0, "", "the file is larger than " + std::to_string(kMaxYamlFileBytes) + " bytes");
    out->errors = report.take();
    return out;
  }
  try {
    const std::vector<YAML::Node> nodes = YAML::LoadAll(file.content);
    if (nodes.size() > kMaxYamlDocuments) report.add(0, "", "the file holds too many documents");
    for (size_t i = 0; i < std::min(nodes.size(), kMaxYamlDocuments); ++i) {
      if (!nodes[i].IsDefined() || nodes[i].IsNull()) continue;
      const int line = nodes[i].Mark().is_null() ? 1 : nodes[i].Mark().line + 1;
      if (auto document = read_document(YamlValue(nodes[i], "", line, report))) {
        out->documents.push_back(std::move(*document));
      }
    }
  } catch (const YAML::Exception& e) {
    report.add(e.mark.is_null() ? 0 : e.mark.line + 1, "", "is not YAML: " + e.msg);
  }
  out->errors = report.take();
  return out;
}

// === all files ===

namespace {

std::string key_of(const Meta& meta) {
  return object_name(meta.kind, meta.name);
}

void insert(Model& model, const Document& document) {
  std::visit(
      [&model](const auto& d) {
        using T = std::decay_t<decltype(d)>;
        const Name& name = d.meta.name;
        if constexpr (std::is_same_v<T, Service>)
          model.services.emplace(name, d);
        else if constexpr (std::is_same_v<T, EndpointSlice>)
          model.slices.emplace(name, d);
        else if constexpr (std::is_same_v<T, Pod>)
          model.pods.emplace(name, d);
        else if constexpr (std::is_same_v<T, Namespace>)
          model.namespaces.emplace(name, d);
        else if constexpr (std::is_same_v<T, Route>)
          (d.grpc ? model.grpc_routes : model.http_routes).emplace(name, d);
        else if constexpr (std::is_same_v<T, TrafficPolicy>)
          model.traffic_policies.emplace(name, d);
        else
          model.mesh_policies.emplace(name, d);
      },
      document);
}

bool describes(const ParsedFile& file, const std::string& object) {
  return std::ranges::any_of(file.documents, [&](const Document& d) { return key_of(meta_of(d)) == object; });
}

}  // namespace

// Duplicates are problems of the files; everything else is a problem of the model.
std::shared_ptr<Model> DirectorySource::build(const Files& files, std::vector<Problem>& problems) const {
  auto model = std::make_shared<Model>();
  std::map<std::string, Place> seen;
  for (const auto& [path, file] : files) {
    for (const Document& document : file->documents) {
      const Meta& meta = meta_of(document);
      auto [it, fresh] = seen.emplace(key_of(meta), meta.at);
      if (fresh) {
        insert(*model, document);
        continue;
      }
      problems.push_back(
          {meta.at.error(key_of(meta) + " is already described at " + it->second.to_string()), it->second.file, ""});
    }
  }
  model->link();
  if (problems.empty()) problems = check_model(*model);
  if (problems.empty() && judge_ != nullptr) problems = judge_->judge(*model);
  return model;
}

DirectorySource::DirectorySource(ModelJudge* judge) : judge_(judge) {
  auto empty = std::make_shared<Model>();
  empty->link();
  model_ = empty;
}

std::vector<ConfigError> DirectorySource::restore(const std::vector<SourceFile>& good) {
  Result result = apply(good);
  return std::move(result.errors);
}

std::shared_ptr<const ParsedFile> DirectorySource::parse(const SourceFile& file) const {
  // What was read as empty because it could not be read is not known.
  for (const Files* known : {&last_read_, &good_}) {
    auto it = known->find(file.path);
    const bool same = it != known->end() && file.unreadable.empty() && it->second->content == file.content;
    if (same) return it->second;
  }
  return parse_yaml_file(file);
}

void DirectorySource::read(const std::vector<SourceFile>& files, Files& candidate, Result& result) {
  Files now;
  for (const SourceFile& file : files) {
    if (now.size() >= kMaxSourceFiles) {
      result.errors.push_back(
          {file.path, 0, "", "is one file too many; the limit is " + std::to_string(kMaxSourceFiles)});
      break;
    }
    auto parsed = parse(file);
    now[file.path] = parsed;
    if (parsed->errors.empty()) {
      candidate[file.path] = parsed;
      continue;
    }
    result.errors.insert(result.errors.end(), parsed->errors.begin(), parsed->errors.end());
    result.refused.push_back(file.path);
    if (auto it = good_.find(file.path); it != good_.end()) candidate[file.path] = it->second;
  }
  last_read_ = std::move(now);
}

// Puts one file of the candidate back to what is in force. False if it already is.
bool DirectorySource::revert(Files& candidate, const std::string& path) const {
  auto good = good_.find(path);
  auto have = candidate.find(path);
  const auto was = good == good_.end() ? nullptr : good->second;
  const auto is = have == candidate.end() ? nullptr : have->second;
  if (was == is) return false;
  if (was == nullptr)
    candidate.erase(path);
  else
    candidate[path] = was;
  return true;
}

std::vector<std::string> DirectorySource::changed_paths(const Files& candidate) const {
  std::set<std::string> out;
  for (const auto& [path, file] : candidate) {
    auto good = good_.find(path);
    if (good == good_.end() || good->second != file) out.insert(path);
  }
  for (const auto& [path, file] : good_) {
    if (!candidate.contains(path)) out.insert(path);
  }
  return {out.begin(), out.end()};
}

// Where nothing points at a file, the one whose change alone makes the difference is to blame.
bool DirectorySource::revert_lone_culprit(Files& candidate, std::set<std::string>& back) const {
  constexpr size_t kTriesMax = 16;
  const std::vector<std::string> changed = changed_paths(candidate);
  if (changed.size() > kTriesMax) return false;
  for (const std::string& path : changed) {
    Files without = candidate;
    std::vector<Problem> problems;
    if (!revert(without, path)) continue;
    build(without, problems);
    if (!problems.empty()) continue;
    candidate = std::move(without);
    back.insert(path);
    return true;
  }
  return false;
}

// Who changed is to blame: the file with the error; the file it clashes with; the file that had what is missing now.
bool DirectorySource::revert_culprits(Files& candidate, const Problem& problem, Result& result) const {
  std::set<std::string> back;
  auto try_revert = [&](const std::string& path) {
    if (!path.empty() && revert(candidate, path)) back.insert(path);
  };
  try_revert(problem.error.file);
  if (back.empty()) try_revert(problem.other_file);
  if (back.empty() && !problem.missing.empty()) {
    for (const auto& [path, file] : good_) {
      if (describes(*file, problem.missing)) try_revert(path);
    }
  }
  if (back.empty() && !revert_lone_culprit(candidate, back)) {
    for (const std::string& path : changed_paths(candidate)) try_revert(path);
  }
  for (const std::string& path : back) {
    ConfigError error = problem.error;
    if (path != error.file) {
      error = {path, 0, "", "its change is refused, because of " + problem.error.to_string()};
    }
    result.errors.push_back(std::move(error));
    result.refused.push_back(path);
  }
  return !back.empty();
}

DirectorySource::Result DirectorySource::apply(const std::vector<SourceFile>& files) {
  Result result;
  Files candidate;
  read(files, candidate, result);
  for (;;) {
    std::vector<Problem> problems;
    std::shared_ptr<Model> model = build(candidate, problems);
    if (problems.empty()) {
      result.changed = candidate != good_;
      if (result.changed) {
        good_ = std::move(candidate);
        model_ = std::move(model);
      }
      break;
    }
    // All problems of a file are told at once, but after the first file has gone back the others are judged anew.
    const std::string blamed = problems.front().error.file;
    if (!revert_culprits(candidate, problems.front(), result)) break;  // what is in force held together before
    for (size_t i = 1; i < problems.size(); ++i) {
      const bool told = problems[i].error.file == blamed && result.refused.back() == blamed;
      if (told) result.errors.push_back(problems[i].error);
    }
  }
  std::ranges::sort(result.refused);
  result.refused.erase(std::unique(result.refused.begin(), result.refused.end()), result.refused.end());
  result.model = model_;
  return result;
}

std::vector<SourceFile> DirectorySource::good_files() const {
  std::vector<SourceFile> out;
  for (const auto& [path, file] : good_) out.push_back({path, file->content});
  return out;
}

}  // namespace pillion::xds::control
