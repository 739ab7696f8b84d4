func.func @main(%x: tensor<1x8x8x1xi8>, %y: tensor<1x4x8x1xi8>) -> (tensor<1x8x8x1xi8>, tensor<32xi8>) {
  %s = tensor.extract_slice %x[0, 4, 0, 0] [1, 4, 8, 1] [1, 1, 1, 1] : tensor<1x8x8x1xi8> to tensor<1x4x8x1xi8>
  %h = tensor.extract_slice %x[0, 0, 0, 0] [1, 4, 8, 1] [1, 2, 1, 1] : tensor<1x8x8x1xi8> to tensor<1x4x8x1xi8>
  %e = tensor.empty() : tensor<1x8x8x1xi8>
  %a = tensor.insert_slice %s into %e[0, 0, 0, 0] [1, 4, 8, 1] [1, 1, 1, 1] : tensor<1x4x8x1xi8> into tensor<1x8x8x1xi8>
  %b = tensor.insert_slice %y into %a[0, 4, 0, 0] [1, 4, 8, 1] [1, 1, 1, 1] : tensor<1x4x8x1xi8> into tensor<1x8x8x1xi8>
  %c = tensor.collapse_shape %h [[0, 1, 2, 3]] : tensor<1x4x8x1xi8> into tensor<32xi8>
  return %b, %c : tensor<1x8x8x1xi8>, tensor<32xi8>
}
