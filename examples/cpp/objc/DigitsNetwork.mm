#import "DigitsNetwork.h"

#include <memory>

#include "model.h"

@implementation DigitsNetwork {
  std::unique_ptr<Digits::Model> _model;
}

- (nullable instancetype)init {
  self = [super init];
  if (self == nil) return nil;
  _model = std::make_unique<Digits::Model>();
  return _model->status() == netglot::Status::ok ? self : nil;
}

- (nullable NSData *)runOnImage:(NSData *)image {
  if (image.length != Digits::Model::inputs()[0].bytes) return nil;
  NSMutableData *scores = [NSMutableData dataWithLength:Digits::Model::outputs()[0].bytes];
  const netglot::Status status =
      _model->run({static_cast<const float *>(image.bytes)}, {static_cast<float *>(scores.mutableBytes)});
  return status == netglot::Status::ok ? scores : nil;
}

@end
