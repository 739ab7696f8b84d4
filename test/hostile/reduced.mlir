func.func @main(%x: tensor<4x6xf32>, %y: tensor<6x5xf32>) -> (tensor<4xf32>, tensor<5x4xf32>) {
  %n = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%n : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %s = linalg.reduce ins(%x : tensor<4x6xf32>) outs(%f : tensor<4xf32>) dimensions = [1] (%a: f32, %b: f32) {
    %r = arith.maximumf %a, %b : f32
    linalg.yield %r : f32
  }
  %g = tensor.empty() : tensor<4x5xf32>
  %h = linalg.fill ins(%n : f32) outs(%g : tensor<4x5xf32>) -> tensor<4x5xf32>
  %m = linalg.matmul ins(%x, %y : tensor<4x6xf32>, tensor<6x5xf32>) outs(%h : tensor<4x5xf32>) -> tensor<4x5xf32>
  %o = tensor.empty() : tensor<5x4xf32>
  %t = linalg.transpose ins(%m : tensor<4x5xf32>) outs(%o : tensor<5x4xf32>) permutation = [1, 0]
  return %s, %t : tensor<4xf32>, tensor<5x4xf32>
}
